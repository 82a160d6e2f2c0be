"""One request over HTTP: sent once, read to its end, every read with its time.

aiohttp rather than httpx: of one streamed chunk it costs half the processor time (docs/http.md).
Nothing is parsed while the clock runs. No retries, no redirects, no compression; connections are
kept alive and used again, and opened anew where none is free. A server may close an idle connection
at the moment when it is used again: it has not seen that request, which then takes another connection.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import aiohttp

from tracker.load.http.failure import RequestFailure

__all__ = ["Exchange", "HttpSession", "exchange", "failure_of", "open_session"]

_DONE = b"[DONE]"
_EVENT = b"data:"
_GRACE = 1.0  # seconds that a server has to end the body after [DONE]


@dataclass(slots=True)
class Exchange:
    """What happened on the wire. Times on the session's clock, s.

    Attributes:
        scheduled: When the request should have been sent.
        sent: When it was handed to the connection; None: never.
        reads: What each read of the body returned, and when.
        ended: When the body was whole or given up.
        delays: For how long each of the reads may have waited for this process.
        failure: Why there is no whole body; None if there is.
        cancel_after: Events of the stream after which the client closes the connection; None: it
            reads to the end.
        cancelled: Whether it did.
        reused: Whether its connection had served another request.
    """

    scheduled: float
    sent: float | None = None
    reads: list[tuple[float, bytes]] = field(default_factory=list)
    ended: float | None = None
    delays: list[float] = field(default_factory=list)
    failure: RequestFailure | None = None
    cancel_after: int | None = None
    cancelled: bool = False
    reused: bool = False


class _Delay(Protocol):
    def seconds(self, now: float) -> float: ...


@dataclass(frozen=True, slots=True)
class HttpSession:
    """Connections to one server, and the clock that its exchanges are timed by."""

    http: aiohttp.ClientSession
    clock: Callable[[], float]
    delay: _Delay | None = None


def open_session(
    headers: dict[str, str],
    clock: Callable[[], float],
    delay: _Delay | None = None,
    connector: aiohttp.BaseConnector | None = None,
) -> HttpSession:
    """Return a session; close its ``http``. Call it inside a running event loop.

    Args:
        headers: Sent with every request.
        clock: Seconds.
        delay: Tells how long a read may have waited.
        connector: Instead of TCP connections without a limit on their number.
    """
    trace = aiohttp.TraceConfig()
    trace.on_connection_reuseconn.append(_note_reuse)
    http = aiohttp.ClientSession(
        trace_configs=[trace],
        connector=connector or aiohttp.TCPConnector(limit=0),
        timeout=aiohttp.ClientTimeout(total=None),
        headers={"Accept-Encoding": "identity", **headers},
    )
    return HttpSession(http, clock, delay)


async def _note_reuse(_session: aiohttp.ClientSession, context: Any, _params: object) -> None:
    if context.trace_request_ctx is not None:
        context.trace_request_ctx.reused = True


async def exchange(session: HttpSession, url: str, body: bytes, done: Exchange) -> None:
    """Post ``body`` and read the reply to its end, into ``done``; failures are noted there, too.

    Args:
        session: Where to.
        url: Of the endpoint.
        body: JSON.
        done: Filled in as things happen, so that a reply that is given up keeps what came of it.
    """
    try:
        done.sent = session.clock()
        while True:
            done.reused = False
            try:
                await _send(session, url, body, done)
                break
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
                if done.reads or not done.reused:
                    raise
    except asyncio.CancelledError:
        done.failure = RequestFailure("cancelled", "the load was ended")
        raise
    except (aiohttp.ClientError, OSError, ValueError) as error:
        done.failure = failure_of(error)
    finally:
        done.ended = session.clock()


async def _send(session: HttpSession, url: str, body: bytes, done: Exchange) -> None:
    clock, delay, reads, events = session.clock, session.delay, done.reads, 0
    headers = {"Content-Type": "application/json"}
    async with session.http.post(
        url, data=body, headers=headers, allow_redirects=False, trace_request_ctx=done
    ) as response:
        async for received in response.content.iter_any():
            now = clock()
            reads.append((now, received))
            if delay is not None:
                done.delays.append(delay.seconds(now))
            if done.cancel_after is not None:
                events += received.count(_EVENT)
                if events >= done.cancel_after and _DONE not in received:
                    done.cancelled = True
                    response.close()
                    return
            if _DONE in received:
                await _end_of_body(response)
                break
        if response.status != 200:
            text = b"".join(part for _, part in reads).decode("utf-8", "replace").strip()
            done.failure = RequestFailure(
                "status", f"HTTP {response.status}: {text[:300] or 'no text'}"
            )
            reads.clear()


async def _end_of_body(response: aiohttp.ClientResponse) -> None:
    """Read what follows [DONE], so that the connection can be used again."""
    try:
        await asyncio.wait_for(response.content.read(), _GRACE)
    except TimeoutError:
        response.close()


def failure_of(error: Exception) -> RequestFailure:
    """Return the failure that an exception of aiohttp or of the system means."""
    if isinstance(error, (aiohttp.ClientSSLError, ssl.SSLError)):
        return RequestFailure("tls", _text(error))
    if isinstance(error, aiohttp.ClientConnectorError | ConnectionRefusedError):
        return RequestFailure("refused", _text(error))
    if isinstance(error, aiohttp.InvalidURL):
        return RequestFailure("refused", f"not a URL: {_text(error)}")
    return RequestFailure("broken stream", _text(error))


def _text(error: Exception) -> str:
    cause: Any = getattr(error, "os_error", None) or getattr(error, "certificate_error", None)
    return str(cause or error) or type(error).__name__
