"""Requests to a REST API: JSON in and out, a deadline, and errors that hide the token."""

from __future__ import annotations

import ipaddress
import json
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx

from tracker.errors import PacekeeperError

__all__ = ["Api", "ApiError"]

_MAX_ANSWER = 32 * 2**20  # bytes; a page of 100 comments stays far below
_RETRIED = frozenset({429, 502, 503, 504})
_MAX_WAIT = 60.0  # seconds that a server may ask for between two tries


class ApiError(PacekeeperError):
    """The API refused a request or did not answer; the message holds no header."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class Api:
    """A REST API behind one address.

    Args:
        url: Address that every path is appended to. The token is never sent over plain HTTP,
            except to this machine.
        headers: Sent with each request; hold the token.
        deadline: Seconds that one request may take, from its start to the answer's last byte.
        tries: How often in all. A request is repeated where it did not reach the server or
            the server asked for that (429, 502, 503, 504).
        sleep: Waits between tries.

    Raises:
        ApiError: `url` is no https address.
    """

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        *,
        deadline: float = 20.0,
        tries: int = 3,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme != "https" and not (
            parts.scheme == "http" and _is_loopback(parts.hostname)
        ):
            raise ApiError(f"{url} is no https address; the token is not sent there")
        self._url = url.rstrip("/")
        self._deadline = deadline
        self._tries = tries
        self._sleep = sleep
        self._headers = dict(headers)

    def request(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        content: bytes | None = None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        repeatable: bool = False,
    ) -> Any:
        """Send one request and return the answer's JSON (None where it has no content).

        Args:
            method: GET, POST, ...
            path: Appended to the address.
            body: Sent as JSON.
            content: Sent as it is, in place of `body`.
            query: Parameters of the address.
            headers: Of this request alone.
            repeatable: A second arrival changes nothing, so that the request is also repeated where
                it may have arrived: no answer in time, or a connection that broke.

        Raises:
            ApiError: No connection, no answer in time, a status that is no success, or no JSON.
        """
        what = f"{method} {path}"
        for attempt in range(1, self._tries + 1):
            wait, is_last = 2.0 ** (attempt - 1), attempt == self._tries
            try:
                status, answer, asked = self._once(method, path, body, content, query, headers)
            except httpx.ConnectError as error:
                if is_last:
                    raise ApiError(f"{what}: no connection: {error}") from None
            except (httpx.TimeoutException, TimeoutError):
                if is_last or not repeatable:
                    raise ApiError(f"{what}: no answer within {self._deadline:g} s") from None
            except httpx.HTTPError as error:
                if is_last or not repeatable:
                    raise ApiError(f"{what}: {type(error).__name__}: {error}") from None
            else:
                if status < 300:
                    return _parsed(what, answer)
                if status not in _RETRIED or is_last:
                    raise ApiError(f"{what}: {status} {_message(answer)}".rstrip(), status)
                wait = max(wait, asked)
            self._sleep(wait)
        raise AssertionError("every last try returns or raises")

    def pages(
        self, path: str, *, query: Mapping[str, str] | None = None, most: int = 50
    ) -> list[Any]:
        """Return the items of all pages of a list, 100 a page.

        Args:
            path: Of the list.
            query: What narrows it.
            most: Pages.

        Raises:
            ApiError: As `request`; or there are more than `most` pages.
        """
        items: list[Any] = []
        for page in range(1, most + 1):
            paged = {"per_page": "100", "page": str(page), **(query or {})}
            content = self.request("GET", path, query=paged)
            if not isinstance(content, list):
                raise ApiError(f"GET {path}: the answer is no list")
            items += content
            if len(content) < 100:
                return items
        raise ApiError(f"GET {path}: more than {most} pages")

    def _once(
        self,
        method: str,
        path: str,
        body: object,
        content: bytes | None,
        query: Mapping[str, str] | None,
        headers: Mapping[str, str] | None,
    ) -> tuple[int, bytes, float]:
        """Return status, answer and the seconds that the server asks to wait before another try."""
        # httpx's timeouts count from the last byte; a server that drips is ended by the clock here.
        end = time.monotonic() + self._deadline
        # Redirects are not followed: they would carry the token elsewhere.
        with (
            httpx.Client(
                headers=self._headers, timeout=self._deadline, follow_redirects=False
            ) as client,
            client.stream(
                method,
                self._url + path,
                json=body,
                content=content,
                params=query,
                headers=headers,
            ) as response,
        ):
            answer = b""
            for chunk in response.iter_bytes():
                answer += chunk
                if time.monotonic() > end:
                    raise TimeoutError
                if len(answer) > _MAX_ANSWER:
                    raise ApiError(
                        f"{method} {path}: the answer is larger than {_MAX_ANSWER} bytes"
                    )
            return response.status_code, answer, _wait(response.headers.get("Retry-After"))


def _parsed(what: str, content: bytes) -> Any:
    try:
        return json.loads(content) if content.strip() else None
    except ValueError:
        raise ApiError(f"{what}: the answer is no JSON") from None


def _message(content: bytes) -> str:
    """What the API says of its refusal: GitHub's and GitLab's `message`, or RFC 9457's `detail`."""
    try:
        answer = json.loads(content)
    except ValueError:
        return ""
    if isinstance(answer, dict):
        keys = ("detail", "message", "error")
        answer = next((answer[key] for key in keys if answer.get(key)), "")
    return str(answer)[:300]


def _wait(header: str | None) -> float:
    seconds = float(header) if header is not None and header.isdecimal() else 0.0
    return min(seconds, _MAX_WAIT)


def _is_loopback(host: str | None) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False
