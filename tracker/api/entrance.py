"""What each request passes before any route: its token, its rate, its size.

An ASGI application around the routes, so that a body is read only for a known token, and a route
that someone forgets to protect is closed.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers

from tracker.api.limits import RateLimiter
from tracker.api.problems import problem
from tracker.api.tokens import RefusedTokenError, Stored, check, prefix_of
from tracker.domain import TokenInfo
from tracker.errors import StoreError

__all__ = ["PUBLIC", "Entrance", "Limits"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

PUBLIC = frozenset({"/health", "/openapi.json"})  # they show nothing of the store


@dataclass(frozen=True, slots=True)
class Limits:
    """What one caller may ask of the service.

    Attributes:
        body: Bytes of a request, before and after its compression is undone.
        body_seconds: By when a body must have come.
        num_bodies: Requests with a body in memory at once; more wait.
        rate, burst: Requests a second, and at once, of one token.
        refused_rate, refused_burst: Requests with a refused token, of one address.
    """

    body: int = 64 * 2**20
    body_seconds: float = 60.0
    num_bodies: int = 8
    rate: float = 20.0
    burst: int = 100
    refused_rate: float = 0.5
    refused_burst: int = 20


class _RefusedError(Exception):
    def __init__(self, status: int, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.answer = problem(status, detail, headers=headers)


class Entrance:
    """Lets requests through to `app` that carry an active token; puts it into `scope["state"]`.

    Args:
        app: The routes.
        find: Returns what the store holds under a token's prefix.
        limits: What one caller may ask.
    """

    def __init__(
        self, app: App, find: Callable[[str], Stored | None], limits: Limits | None = None
    ) -> None:
        self._app, self._find, self._limits = app, find, limits or Limits()
        self._bodies = asyncio.Semaphore(self._limits.num_bodies)
        self._rate = RateLimiter(self._limits.rate, self._limits.burst)
        self._refused = RateLimiter(self._limits.refused_rate, self._limits.refused_burst)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection of the server: ASGI 3."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["path"] in PUBLIC:
            await self._app(scope, receive, send)
            return
        try:
            scope.setdefault("state", {})["token"] = await self._admit(scope)
        except _RefusedError as error:
            await error.answer(scope, receive, send)
            return
        if scope["method"] in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        async with self._bodies:
            try:
                receive = await self._with_body(scope, receive)
            except _RefusedError as error:
                await error.answer(scope, receive, send)
                return
            await self._app(scope, receive, send)

    async def _admit(self, scope: Scope) -> TokenInfo:
        scheme, _, text = Headers(scope=scope).get("authorization", "").partition(" ")
        try:
            if scheme.lower() != "bearer":
                raise RefusedTokenError("give a token: Authorization: Bearer pkt_...")
            text = text.strip()
            prefix = prefix_of(text)
            stored = None if prefix is None else await run_in_threadpool(self._find, prefix)
            token = check(text, stored, now=datetime.now(UTC))
        except RefusedTokenError as error:
            # Counted apart, so that whoever guesses tokens at a shared address locks nobody out.
            address = (scope.get("client") or ("unknown",))[0]
            _require_no_wait(self._refused.wait_for(address))
            challenge = {"WWW-Authenticate": 'Bearer realm="pacekeeper"'}
            raise _RefusedError(401, str(error), challenge) from None
        except StoreError:
            raise _RefusedError(503, "the store cannot be reached") from None
        _require_no_wait(self._rate.wait_for(token.prefix))
        return token

    async def _with_body(self, scope: Scope, receive: Receive) -> Receive:
        """Return a `receive` that hands the body out whole, uncompressed; refuse a large one."""
        headers = Headers(scope=scope)
        limit = self._limits.body
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > limit:
            raise _too_large(limit)
        try:
            async with asyncio.timeout(self._limits.body_seconds):
                body = await _read(receive, limit)
        except TimeoutError:
            raise _RefusedError(
                408, f"the body did not come within {self._limits.body_seconds:g} s"
            ) from None
        encoding = headers.get("content-encoding", "identity").lower()
        if encoding == "gzip":
            body = _uncompressed(body, limit)
        elif encoding != "identity":
            raise _RefusedError(415, "Content-Encoding must be gzip or absent")
        is_given = False

        async def give() -> MutableMapping[str, Any]:
            nonlocal is_given
            if is_given:
                return await receive()
            is_given = True
            return {"type": "http.request", "body": body, "more_body": False}

        return give


def _require_no_wait(seconds: float) -> None:
    if seconds > 0:
        wait = str(max(1, round(seconds + 0.5)))
        raise _RefusedError(429, f"too many requests; try again in {wait} s", {"Retry-After": wait})


def _too_large(limit: int) -> _RefusedError:
    return _RefusedError(413, f"the body is larger than {limit} bytes; send fewer files at once")


async def _read(receive: Receive, limit: int) -> bytes:
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _RefusedError(400, "the body is incomplete")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limit:
            raise _too_large(limit)
        if not message.get("more_body"):
            return b"".join(parts)


def _uncompressed(body: bytes, limit: int) -> bytes:
    decoder = zlib.decompressobj(wbits=31)
    try:
        plain = decoder.decompress(body, limit + 1)
    except zlib.error as error:
        raise _RefusedError(400, f"the body is no gzip: {error}") from None
    if len(plain) > limit:
        raise _too_large(limit)
    if not decoder.eof or decoder.unused_data:
        raise _RefusedError(400, "the body is incomplete gzip, or more than one file of it")
    return plain
