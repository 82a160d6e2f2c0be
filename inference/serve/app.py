"""The routes of the server, as a plain ASGI application."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from inference.engine import LLM
from inference.replicas import Replicas
from inference.request import RequestOutput, TokenEvent
from inference.serve.engine_loop import EngineLoop, Stream
from inference.serve.exposition import exposition
from inference.serve.protocol import Job, Kind, RefusedRequestError, error_body, read_job

__all__ = ["App"]

Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Handler = Callable[[Receive, Send], Awaitable[None]]

_JSON = "application/json"
_OBJECTS: dict[Kind, tuple[str, str, str]] = {
    "completions": ("cmpl", "text_completion", "text_completion"),
    "chat": ("chatcmpl", "chat.completion", "chat.completion.chunk"),
}


class _DisconnectedError(Exception):
    """The client has disconnected, so no reply is sent."""


class App:
    """Serves one engine.

    Args:
        llm: Ready to generate; closed with the application.
        model: The name it is served under.
    """

    def __init__(self, llm: LLM | Replicas, model: str) -> None:
        self._llm = llm
        self._model = model
        self._described = llm.describe()
        self._engine: EngineLoop | None = None
        self._number = itertools.count(1)
        self._started = int(time.time())
        self._routes: dict[tuple[str, str], Handler] = {
            ("GET", "/health"): self._health,
            ("GET", "/metrics"): self._metrics,
            ("GET", "/v1/models"): self._models,
            ("POST", "/v1/completions"): self._completions,
            ("POST", "/v1/chat/completions"): self._chat,
        }

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Handle one connection of the server: ASGI 3."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        if scope["type"] != "http":
            raise ValueError(f"no {scope['type']} here")
        method, path = scope["method"], scope["path"]
        handler = self._routes.get((method, path))
        try:
            if handler is None:
                paths = [p for _, p in self._routes]
                raise RefusedRequestError(405 if path in paths else 404, f"no {method} {path}")
            await handler(receive, send)
        except _DisconnectedError:
            return
        except Exception as error:
            status, body = error_body(error)
            await _reply(send, status, body)

    @property
    def engine(self) -> EngineLoop:
        """The running engine."""
        if self._engine is None or self._engine.failure is not None:
            why = "not started" if self._engine is None else self._engine.failure
            raise RefusedRequestError(503, f"the engine is down: {why}")
        return self._engine

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        self._engine = EngineLoop(self._llm, asyncio.get_running_loop())
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await asyncio.to_thread(self._engine.close)
        await send({"type": "lifespan.shutdown.complete"})

    async def _health(self, receive: Receive, send: Send) -> None:
        assert self.engine
        await _reply(send, 200, b'{"status": "ok"}')

    async def _models(self, receive: Receive, send: Send) -> None:
        entry = {
            "id": self._model,
            "object": "model",
            "created": self._started,
            "owned_by": "pacekeeper",
            "max_model_len": self._described["max_model_len"],
            "vocab_size": self._described["vocab_size"],
            "settings": self._described,
        }
        await _reply(send, 200, json.dumps({"object": "list", "data": [entry]}).encode())

    async def _metrics(self, receive: Receive, send: Send) -> None:
        engine = self.engine
        counters, occupancy = await engine.call(
            lambda: (self._llm.counters(), self._llm.occupancy())
        )
        text = exposition(
            counters,
            occupancy,
            queue_seconds=engine.queue_seconds,
            num_scheduled=engine.num_scheduled,
        )
        await _reply(send, 200, text.encode(), "text/plain; version=0.0.4; charset=utf-8")

    async def _completions(self, receive: Receive, send: Send) -> None:
        await self._generate("completions", receive, send)

    async def _chat(self, receive: Receive, send: Send) -> None:
        await self._generate("chat", receive, send)

    async def _generate(self, kind: Kind, receive: Receive, send: Send) -> None:
        job = read_job(kind, await _body(receive), self._model)
        streams = await self._submit(job)
        try:
            async with _ended_by_disconnect(receive):
                if job.stream:
                    await self._send_events(job, streams, send)
                else:
                    await self._send_whole(job, streams, send)
        finally:
            assert self._engine is not None
            for stream in streams:
                self._engine.abort(stream)  # of what has ended, nothing is left

    async def _submit(self, job: Job) -> list[Stream]:
        engine = self.engine
        prompts = list(job.prompts)
        how = {}
        if job.kind == "chat":
            prompts = [await engine.call(lambda: self._llm.chat_prompt(job.messages))]
            how = {"add_special_tokens": False}
        streams: list[Stream] = []
        try:
            for prompt in prompts:
                # What a text leaves of the context is known when it is tokenized: only a chat may
                # leave its length to the server, and its prompt is tokens by now.
                room = self._llm.max_model_len - len(prompt)
                streams.append(await engine.submit(prompt, job.params(room), **how))
        except BaseException:
            for stream in streams:
                engine.abort(stream)
            raise
        return streams

    async def _send_whole(self, job: Job, streams: list[Stream], send: Send) -> None:
        outputs = [await _output(stream) for stream in streams]
        choices = []
        for index, output in enumerate(outputs):
            text = output.text or ""
            choice: dict[str, Any] = {"index": index, "finish_reason": output.finish_reason}
            if job.kind == "chat":
                choice["message"] = {"role": "assistant", "content": text}
            else:
                choice["text"] = text
            if job.token_ids:
                choice["token_ids"] = output.token_ids
            choices.append(choice)
        plain = {**self._head(job.kind, 1), "choices": choices, "usage": _usage(outputs)}
        await _reply(send, 200, json.dumps(plain).encode())

    async def _send_events(self, job: Job, streams: list[Stream], send: Send) -> None:
        await send(_start(200, "text/event-stream"))
        head = self._head(job.kind, 2)
        outputs: list[RequestOutput] = []
        counts = [0] * len(streams)
        prompt_tokens = sum(stream.prompt_tokens for stream in streams)
        try:
            async for index, item in _merged(streams):
                if isinstance(item, RequestOutput):
                    outputs.append(item)
                    if item.finish_reason == "error":
                        raise RefusedRequestError(500, str(item.error))
                    continue
                choice = _choice(job, index, item, first=counts[index] == 0)
                counts[index] += 1
                plain: dict[str, Any] = {**head, "choices": [choice]}
                if job.continuous_usage:
                    plain["usage"] = _usage_of(prompt_tokens, sum(counts), 0)
                await send(_part(_event(plain)))
        except Exception as error:  # the status has been sent: an event is all that is left
            _, body = error_body(error)
            await send(_part(b"data: " + body + b"\n\n"))
        else:
            if job.include_usage:
                await send(_part(_event({**head, "choices": [], "usage": _usage(outputs)})))
            await send(_part(b"data: [DONE]\n\n"))
        await send({"type": "http.response.body", "body": b""})

    def _head(self, kind: Kind, which: int) -> dict[str, Any]:
        prefix = _OBJECTS[kind][0]
        return {
            "id": f"{prefix}-{next(self._number)}",
            "object": _OBJECTS[kind][which],
            "created": int(time.time()),
            "model": self._model,
        }


def _choice(job: Job, index: int, event: TokenEvent, *, first: bool) -> dict[str, Any]:
    """Return one token as a choice of a chunk; its text may be empty."""
    text = event.text or ""
    choice: dict[str, Any] = {"index": index, "finish_reason": event.finish_reason}
    if job.kind == "chat":
        choice["delta"] = {"role": "assistant", "content": text} if first else {"content": text}
    else:
        choice["text"] = text
    if job.token_ids:
        choice["token_ids"] = [event.token_id]
    return choice


async def _merged(
    streams: list[Stream],
) -> AsyncIterator[tuple[int, TokenEvent | RequestOutput]]:
    """Yield what comes of several streams, each item with its stream's place; raise what failed."""
    # One stream is the common case, and needs no task for each token.
    merged: asyncio.Queue[tuple[int, Any]] = asyncio.Queue()

    async def forward(index: int, stream: Stream) -> None:
        while True:
            item = await stream.items.get()
            await merged.put((index, item))
            if not isinstance(item, TokenEvent):
                return

    if len(streams) > 1:
        tasks = [asyncio.ensure_future(forward(i, s)) for i, s in enumerate(streams)]
    left = len(streams)
    try:
        while left:
            if len(streams) == 1:
                index, item = 0, await streams[0].items.get()
            else:
                index, item = await merged.get()
            if isinstance(item, Exception):
                raise item
            left -= isinstance(item, RequestOutput)
            yield index, item
    finally:
        if len(streams) > 1:
            for task in tasks:
                task.cancel()


async def _output(stream: Stream) -> RequestOutput:
    """Return a stream's output when it has ended.

    Raises:
        RefusedRequestError: It ended with an error.
    """
    while True:
        item = await stream.items.get()
        if isinstance(item, Exception):
            raise item
        if isinstance(item, RequestOutput):
            if item.finish_reason == "error":
                raise RefusedRequestError(500, str(item.error))
            return item


@contextlib.asynccontextmanager
async def _ended_by_disconnect(receive: Receive) -> AsyncIterator[None]:
    """Raise _DisconnectedError within the block when the client goes away."""
    task = asyncio.current_task()
    gone = False

    async def watch() -> None:
        nonlocal gone
        while (await receive())["type"] != "http.disconnect":
            pass
        gone = True
        assert task is not None
        task.cancel()

    watcher = asyncio.ensure_future(watch())
    try:
        yield
    except asyncio.CancelledError:
        if not gone:
            raise
        assert task is not None
        task.uncancel()
        raise _DisconnectedError from None
    finally:
        watcher.cancel()


async def _body(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _DisconnectedError
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


async def _reply(send: Send, status: int, body: bytes, kind: str = _JSON) -> None:
    start = _start(status, kind)
    start["headers"].append((b"content-length", str(len(body)).encode()))
    await send(start)
    await send({"type": "http.response.body", "body": body})


def _start(status: int, kind: str) -> dict[str, Any]:
    headers = [(b"content-type", kind.encode())]
    return {"type": "http.response.start", "status": status, "headers": headers}


def _part(body: bytes) -> dict[str, Any]:
    return {"type": "http.response.body", "body": body, "more_body": True}


def _event(plain: Mapping[str, Any]) -> bytes:
    return b"data: " + json.dumps(plain, ensure_ascii=False).encode() + b"\n\n"


def _usage(outputs: list[RequestOutput]) -> dict[str, Any]:
    return _usage_of(
        sum(o.num_prompt_tokens for o in outputs),
        sum(len(o.token_ids) for o in outputs),
        sum(o.num_cached_tokens for o in outputs),
    )


def _usage_of(prompt: int, completion: int, cached: int) -> dict[str, Any]:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached},
    }
