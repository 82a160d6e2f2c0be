"""Alerts as issues on GitHub or GitLab: opened once, updated, closed with the alert.

An issue carries a marker with the alert's key, by which it is found again: a second opening, of a
process that was killed before it could note the first, finds the issue that is there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote, urlsplit

from tracker.alerts.config import IssueConfig
from tracker.alerts.failure import DeliveryError, TransientError
from tracker.alerts.message import Message
from tracker.alerts.post import allowed_address
from tracker.http_client import Api, ApiError

__all__ = ["IssueSink"]


@dataclass(frozen=True, slots=True)
class IssueSink:
    """Keeps one issue for each alert.

    Attributes:
        name: "github" or "gitlab", whose REST API it is.
        config: Project and address.
        environ: Holds the token.
        allow_private: Whether the address may be a private one.
        make_api: For tests.
    """

    name: Literal["github", "gitlab"]
    config: IssueConfig
    environ: Mapping[str, str]
    allow_private: bool = False
    make_api: Callable[..., Api] = Api

    def send(self, message: Message, reference: str | None) -> str | None:
        """Open, comment or close; return the issue's number.

        Args:
            message: What to say.
            reference: Number of the alert's issue, where an earlier message returned one.
        """
        token = self.environ.get(self.config.token_variable)
        if not token:
            raise DeliveryError(f"environment variable {self.config.token_variable} is not set")
        host = urlsplit(self.config.url)
        allowed_address(host.hostname or "", host.port or 443, allow_private=self.allow_private)
        headers = {"Authorization": f"Bearer {token}", "User-Agent": "pacekeeper"}
        api = self.make_api(self.config.url, headers, deadline=10.0, tries=2)
        try:
            return self._send(api, message, reference)
        except ApiError as error:
            is_final = error.status is not None and 400 <= error.status < 429
            raise (DeliveryError if is_final else TransientError)(str(error)) from None

    def _send(self, api: Api, message: Message, number: str | None) -> str:
        marker = _marker(message.thread_id)
        number = number or self._find(api, marker)
        if number is None:
            return self._open(api, message, marker)
        said = _marker(message.delivery_id)
        if message.stage != "opened" and not self._has_comment(api, number, said):
            body = {"body": f"{_escape(message.text)}\n\n{said}"}
            api.request("POST", f"{self._comments(number)}", body=body)
        if message.is_closed:
            self._change(api, number, closed=True)
        elif message.stage.startswith("reopened"):
            self._change(api, number, closed=False)
        return number

    @property
    def _issues(self) -> str:
        if self.name == "github":
            return f"/repos/{self.config.place}/issues"
        return f"/projects/{quote(self.config.place, safe='')}/issues"

    def _comments(self, number: str) -> str:
        return f"{self._issues}/{number}/{'comments' if self.name == 'github' else 'notes'}"

    def _find(self, api: Api, marker: str) -> str | None:
        listed = api.pages(self._issues, query={"labels": self.config.label, "state": "all"})
        text, number = ("body", "number") if self.name == "github" else ("description", "iid")
        for issue in listed:
            if marker in (issue.get(text) or "") and "pull_request" not in issue:
                return str(issue[number])
        return None

    def _open(self, api: Api, message: Message, marker: str) -> str:
        text = f"{_escape(message.text)}\n\n{marker}"
        title = " ".join(message.title.split())
        if self.name == "github":
            body: dict[str, Any] = {"title": title, "body": text, "labels": [self.config.label]}
        else:
            body = {"title": title, "description": text, "labels": self.config.label}
        answer = api.request("POST", self._issues, body=body)
        return str(answer["number" if self.name == "github" else "iid"])

    def _has_comment(self, api: Api, number: str, marker: str) -> bool:
        return any(marker in (c.get("body") or "") for c in api.pages(self._comments(number)))

    def _change(self, api: Api, number: str, *, closed: bool) -> None:
        if self.name == "github":
            body = {"state": "closed" if closed else "open"}
            api.request("PATCH", f"{self._issues}/{number}", body=body)
        else:
            body = {"state_event": "close" if closed else "reopen"}
            api.request("PUT", f"{self._issues}/{number}", body=body)


def _marker(identity: str) -> str:
    """A comment that readers do not see; hashed, since a key may hold anything."""
    return f"<!-- pacekeeper {hashlib.sha256(identity.encode()).hexdigest()} -->"


def _escape(text: str) -> str:
    """Text as a block that neither mentions anybody nor is read as Markdown."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}text\n{text}\n{fence}"
