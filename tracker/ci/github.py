"""GitHub: what a job writes into its log and files, and what it asks of the REST API.

With a token the pull request gets one comment that is kept up to date, and its head commit the
check *pacekeeper verdict*. The check is begun before the gate, so that a job that dies leaves it
unfinished rather than absent.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tracker.ci.comment import MARKER
from tracker.ci.result import CiResult, Conclusion, one_line
from tracker.errors import UsageError
from tracker.http_client import Api, ApiError

__all__ = [
    "CHECK_NAME",
    "GitHubJob",
    "Permit",
    "annotate",
    "fenced_log",
    "permit_of",
    "write_files",
]

CHECK_NAME = "pacekeeper verdict"
_ACCEPTING = "perf-expected"  # the label by which a maintainer accepts an intended change
_WRITERS = frozenset({"admin", "maintain", "write"})
_COMMAND = re.compile(r"/pacekeeper gate(?:\s+([0-9a-f]{40}))?\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class GitHubJob:
    """The job at hand, as its environment and its event describe it.

    Attributes:
        repository: "owner/name".
        api: The REST API, or None without a token.
        pull: Number of the pull request, or None.
        base_ref: Its target branch, or None.
        labels: Its labels when the event was sent.
        run_url: Address of this run.
    """

    repository: str
    api: Api | None
    pull: int | None = None
    base_ref: str | None = None
    labels: tuple[str, ...] = ()
    run_url: str | None = None
    event: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, environ: Mapping[str, str], *, pull: int | None = None) -> GitHubJob | None:
        """Return the job that `environ` describes; None outside GitHub Actions.

        Args:
            environ: The environment of the job. `GITHUB_TOKEN` is the token.
            pull: Number of the pull request, where the event does not carry it.

        Raises:
            UsageError: The event cannot be read.
            ApiError: `GITHUB_API_URL` is no https address.
        """
        if not environ.get("GITHUB_ACTIONS"):
            return None
        event = _event(environ.get("GITHUB_EVENT_PATH"))
        request = event.get("pull_request") or {}
        issue = event.get("issue") or {}
        number = (
            pull
            or request.get("number")
            or (issue.get("number") if "pull_request" in issue else None)
        )
        token = environ.get("GITHUB_TOKEN")
        repository = environ.get("GITHUB_REPOSITORY", "")
        api = None
        if token:
            headers = {
                "Authorization": f"Bearer {token}",
                "Accept": "application/vnd.github+json",
                "X-GitHub-Api-Version": "2022-11-28",
                "User-Agent": "pacekeeper",
            }
            api = Api(environ.get("GITHUB_API_URL", "https://api.github.com"), headers)
        run = environ.get("GITHUB_RUN_ID")
        server = environ.get("GITHUB_SERVER_URL", "https://github.com")
        return cls(
            repository=repository,
            api=api,
            pull=int(number) if number is not None else None,
            base_ref=environ.get("GITHUB_BASE_REF") or _queued_for(event),
            labels=tuple(str(label.get("name")) for label in request.get("labels") or ()),
            run_url=f"{server}/{repository}/actions/runs/{run}" if run else None,
            event=event,
        )

    @property
    def target(self) -> str | None:
        """The branch that the pull request is to go to, as git knows it in a checkout."""
        return f"origin/{self.base_ref}" if self.base_ref else None

    def accepts_expectations(self) -> bool:
        """Whether the pull request bears the label `perf-expected`, which only a maintainer can set.

        Asked now where there is a token: a job that is run again has the labels of its first run.

        Raises:
            ApiError: The API refused it.
        """
        if self.api is None or self.pull is None:
            return _ACCEPTING in self.labels
        issue = self.api.request("GET", f"{self._path}/issues/{self.pull}")
        return _ACCEPTING in {str(label["name"]) for label in issue["labels"]}

    def begin(self, head: str) -> int | None:
        """Create the check, unfinished; return its id (None without a token).

        Raises:
            ApiError: The API refused it.
        """
        if self.api is None:
            return None
        body = {"name": CHECK_NAME, "head_sha": head, "status": "in_progress"} | self._details()
        answer = self.api.request("POST", f"{self._path}/check-runs", body=body)
        return int(answer["id"])

    def finish(
        self, check: int | None, result: CiResult, conclusion: Conclusion, comment: str
    ) -> list[str]:
        """Complete the check and write the comment; return what could not be written, and why.

        Args:
            check: As `begin` returned it; None creates the check completed.
            result: The end of the gate.
            conclusion: How it is shown.
            comment: As `comment_of` words it.
        """
        if self.api is None:
            return ["no comment and no check: the step has no GITHUB_TOKEN"]
        problems: list[str] = []
        writes: tuple[tuple[str, str, Callable[[], None]], ...] = (
            ("check", "checks: write", partial(self._check, check, result, conclusion, comment)),
            ("comment", "pull-requests: write", partial(self._comment, comment)),
        )
        for what, needs, write in writes:
            try:
                write()
            except ApiError as error:
                hint = f"; give the job the permission `{needs}`" if error.status == 403 else ""
                problems.append(f"the {what} could not be written: {one_line(str(error))}{hint}")
        return problems

    def _check(
        self, check: int | None, result: CiResult, conclusion: Conclusion, comment: str
    ) -> None:
        assert self.api is not None
        body: dict[str, object] = {
            "status": "completed",
            "conclusion": conclusion.github,
            "output": {"title": conclusion.title, "summary": comment},
        } | self._details()
        if check is not None:
            self.api.request("PATCH", f"{self._path}/check-runs/{check}", body=body)
        elif result.head:
            body |= {"name": CHECK_NAME, "head_sha": result.head}
            self.api.request("POST", f"{self._path}/check-runs", body=body)

    def _comment(self, text: str) -> None:
        if self.pull is None:
            return
        assert self.api is not None
        listed = self.api.pages(f"{self._path}/issues/{self.pull}/comments")
        ours = next((comment["id"] for comment in listed if _is_ours(comment)), None)
        if ours is None:
            self.api.request(
                "POST", f"{self._path}/issues/{self.pull}/comments", body={"body": text}
            )
        else:
            self.api.request("PATCH", f"{self._path}/issues/comments/{ours}", body={"body": text})

    def _details(self) -> dict[str, object]:
        return {"details_url": self.run_url} if self.run_url else {}

    @property
    def _path(self) -> str:
        return f"/repos/{quote(self.repository, safe='/')}"


@dataclass(frozen=True, slots=True)
class Permit:
    """Whether a comment starts a gate, and of what.

    Attributes:
        allowed: Whether it does.
        reason: Why, or why not.
        pull: Number of the pull request.
        head: Full hash to be judged.
        target: Its target branch, without `origin/`.
    """

    allowed: bool
    reason: str
    pull: int | None = None
    head: str = ""
    target: str = ""


def permit_of(job: GitHubJob) -> Permit:
    """Decide on the comment `/pacekeeper gate [COMMIT]` of an `issue_comment` event.

    It starts a gate where whoever wrote it may write to the repository, and the pull request's
    head is what they could see: the commit they name, in full (a short hash can be forged), or one
    that was pushed before the comment.

    Raises:
        UsageError: The event is no comment, or there is no token.
        ApiError: The API does not answer; nobody is allowed then.
    """
    comment = job.event.get("comment")
    if not isinstance(comment, dict) or job.event.get("action") != "created":
        raise UsageError("this event is no new comment; run this on issue_comment, type created")
    command = _COMMAND.fullmatch(str(comment.get("body", "")).strip())
    if command is None:
        return Permit(False, "the comment is not /pacekeeper gate")
    if job.pull is None:
        return Permit(False, "the comment is not on a pull request")
    if job.api is None:
        raise UsageError("there is no GITHUB_TOKEN to check permissions with")
    path = f"/repos/{quote(job.repository, safe='/')}"
    author = str(comment["user"]["login"])
    answer = job.api.request("GET", f"{path}/collaborators/{quote(author, safe='')}/permission")
    if answer.get("permission") not in _WRITERS:
        return Permit(False, f"{author} may not write to {job.repository}", job.pull)
    pull = job.api.request("GET", f"{path}/pulls/{job.pull}")
    head, target = str(pull["head"]["sha"]), str(pull["base"]["ref"])
    if pull.get("state") != "open":
        return Permit(False, "the pull request is not open", job.pull)
    named = command[1]
    if named is not None and named.lower() != head:
        return Permit(False, f"the head is {head[:8]} now, not {named[:8]}", job.pull)
    source = pull["head"].get("repo") or {}
    pushed = source.get("pushed_at")
    if named is None and (pushed is None or _moment(pushed) >= _moment(comment["created_at"])):
        reason = (
            f"something was pushed since the comment; look again and write /pacekeeper gate {head}"
        )
        return Permit(False, reason, job.pull)
    return Permit(True, f"asked for by {author}", job.pull, head, target)


def write_files(environ: Mapping[str, str], values: Mapping[str, str], summary: str = "") -> None:
    """Append step outputs and the job's summary to the files that GitHub names."""
    if path := environ.get("GITHUB_OUTPUT"):
        with Path(path).open("a", encoding="utf-8") as file:
            file.writelines(f"{name}={one_line(value)}\n" for name, value in values.items())
    if summary and (path := environ.get("GITHUB_STEP_SUMMARY")):
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(summary)


def annotate(level: str, title: str, message: str) -> str:
    """Return the log line that GitHub shows as an annotation."""

    def data(text: str) -> str:
        return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")

    safe = data(title).replace(":", "%3A").replace(",", "%2C")
    return f"::{level} title={safe}::{data(message)}"


@contextmanager
def fenced_log(environ: Mapping[str, str]) -> Iterator[None]:
    """Keep GitHub from obeying commands (`::error::...`) that measured code prints."""
    if not environ.get("GITHUB_ACTIONS"):
        yield
        return
    mark = secrets.token_hex(16)
    print(f"::stop-commands::{mark}", flush=True)  # noqa: T201
    try:
        yield
    finally:
        print(f"::{mark}::", flush=True)  # noqa: T201


def _is_ours(comment: Mapping[str, Any]) -> bool:
    """Whether it is ours to edit: anyone may begin a comment with the marker, so a bot's only."""
    author = comment.get("user") or {}
    return author.get("type") == "Bot" and str(comment.get("body", "")).startswith(MARKER)


def _queued_for(event: Mapping[str, Any]) -> str | None:
    """The branch that a merge queue's group is to go to."""
    ref = (event.get("merge_group") or {}).get("base_ref")
    return str(ref).removeprefix("refs/heads/") if ref else None


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def _event(path: str | None) -> dict[str, Any]:
    if not path:
        return {}
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"GITHUB_EVENT_PATH {path} cannot be read: {error}") from None
    return content if isinstance(content, dict) else {}
