"""A server that says what a script says, when the script says it, on a clock that does not wait.

The client under test is the real one: aiohttp over a Unix socket, in one event loop with the server.
The loop's clock jumps to the next timer whenever nothing can be read, so times are exact.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import pathlib
import selectors
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tracker.load.http.endpoint import Endpoint, HttpTarget
from tracker.load.lengths import Fixed
from tracker.load.records import LoadRequest
from tracker.load.scenario import ClosedLoop, Independent, Scenario

MODELS = {"data": [{"id": "m", "object": "model", "owned_by": "someone"}]}
CLOSE = b"<close>"  # in a script: the connection ends here


class _JumpingSelector(selectors.DefaultSelector):
    now = 1000.0

    def select(self, timeout=None):
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            raise AssertionError("nothing is scheduled and nothing can be read: a deadlock")
        self.now += timeout
        return []


class JumpingLoop(asyncio.SelectorEventLoop):
    """An event loop whose time passes only when there is nothing else to do."""

    def __init__(self) -> None:
        self.selector = _JumpingSelector()
        super().__init__(self.selector)

    def time(self) -> float:
        return self.selector.now


def event(data: Any) -> bytes:
    """Return one server-sent event; a string as it is, anything else as JSON."""
    return b"data: " + (data if isinstance(data, str) else json.dumps(data)).encode() + b"\n\n"


def text_chunk(text: str, finish: str | None = None, **more: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "text": text, "finish_reason": finish, **more}]}


def chat_chunk(finish: str | None = None, index: int = 0, **delta: Any) -> dict[str, Any]:
    return {"choices": [{"index": index, "delta": delta, "finish_reason": finish}]}


def usage(tokens: int, prompt: int = 3, cached: int | None = None) -> dict[str, Any]:
    plain: dict[str, Any] = {"completion_tokens": tokens, "prompt_tokens": prompt}
    if cached is not None:
        plain["prompt_tokens_details"] = {"cached_tokens": cached}
    return {"usage": plain}


Script = Sequence[tuple[float, bytes]]  # seconds after the request, and what is sent then


@dataclass
class Scripted:
    """Replies to posts with scripts, one after the other; the last repeats.

    Attributes:
        scripts: Of the posts, after the one that finds out what the server takes.
        status: Of every post's reply.
        gets: Bodies by path; others are 404.
        refuse: Fields for which a post is refused with 422.
    """

    scripts: Sequence[Script]
    status: int = 200
    gets: dict[str, Any] = field(default_factory=lambda: {"/v1/models": MODELS})
    refuse: tuple[str, ...] = ()
    first: Script = ((0.0, event(text_chunk("a", "stop"))),)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    begun: list[float] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                method, path, _ = head.split(" ", 2)
                if method == "GET":
                    await self._get(path, writer)
                    continue
                (length,) = (
                    int(line.split(":")[1])
                    for line in head.splitlines()
                    if line.lower().startswith("content-length")
                )
                await self._post(json.loads(await reader.readexactly(length)), writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _get(self, path: str, writer: asyncio.StreamWriter) -> None:
        body = self.gets.get(path)
        plain = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        code = 404 if body is None else 200
        writer.write(b"HTTP/1.1 %d x\r\ncontent-length: %d\r\n\r\n" % (code, len(plain)) + plain)

    async def _post(self, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        refused = [name for name in self.refuse if name in body]
        if refused:
            plain = json.dumps({"detail": f"Unexpected fields: {refused}"}).encode()
            writer.write(b"HTTP/1.1 422 x\r\ncontent-length: %d\r\n\r\n" % len(plain) + plain)
            return
        number = len(self.bodies)
        self.bodies.append(body)
        self.begun.append(loop.time())
        script = self.first if number == 0 else self.scripts[min(number, len(self.scripts)) - 1]
        writer.write(b"HTTP/1.1 %d x\r\ntransfer-encoding: chunked\r\n\r\n" % self.status)
        began = loop.time()
        for at, data in script:
            await asyncio.sleep(began + at - loop.time())
            if data == CLOSE:
                raise ConnectionResetError
            writer.write(b"%x\r\n%s\r\n" % (len(data), data))
            await writer.drain()
        writer.write(b"0\r\n\r\n")


def scenario(**more: Any) -> Scenario:
    """Return a scenario of one text request whose output may end anywhere."""
    plain = {
        "version": "1",
        "workload": Independent(1, prompt=Fixed(3), output=Fixed(8), text=True),
        "load": ClosedLoop(1),
        "natural_end": True,
        "warmup": 0,
        "limit": 60.0,
    }
    return Scenario(**(plain | more))


async def _cancel_the_rest() -> None:
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


@contextlib.contextmanager
def connected(
    server: Scripted, tmp_path, *, api="completions", of=None, **endpoint
) -> Iterator[HttpTarget]:
    """Connect a client to ``server``, and end both."""
    loop = JumpingLoop()
    path = str(tmp_path / "socket")
    listening = loop.run_until_complete(asyncio.start_unix_server(server.serve, path))
    target = None
    try:
        target = HttpTarget(
            Endpoint(url="http://scripted", api=api, **endpoint),
            of or scenario(),
            loop=loop,
            clock=loop.time,
            connector=lambda: aiohttp.UnixConnector(path),
            spin=0.0,
        )
        yield target
    finally:
        if target is not None:
            target.close()
        listening.close()
        loop.run_until_complete(asyncio.sleep(1.0))  # every connection sees that it is closed
        loop.run_until_complete(_cancel_the_rest())
        loop.close()
        pathlib.Path(path).unlink()


def driven(
    server: Scripted,
    tmp_path,
    requests: Sequence[LoadRequest] | None = None,
    concurrency: int | None = 1,
    **how: Any,
):
    """Return what came of ``requests`` (one of eight tokens) on ``server``."""
    with connected(server, tmp_path, **how) as target:
        return target.drive(requests or [LoadRequest(0, "a b c", 8)], concurrency)
