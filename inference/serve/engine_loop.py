"""The engine in a thread of its own, stepping as long as there is something to do.

``LLM`` is not thread-safe: everything that touches it runs in this thread, between two steps. The
event loop hands in calls and gets tokens back, all tokens of one step in one hand-over.
"""

from __future__ import annotations

import asyncio
import functools
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from inference.config import SamplingParams
from inference.engine import LLM
from inference.errors import InferenceError
from inference.intake import Prompt
from inference.replicas import Replicas
from inference.request import RequestOutput, TokenEvent

__all__ = ["EngineLoop", "Stream"]

_SEND_LIMIT = 0.1  # seconds that a step waits for the tokens of the one before to be sent

T = TypeVar("T")
_Call = Callable[[Exception | None], None]  # given why it is refused; None: do it


@dataclass(eq=False)
class Stream:
    """One request on its way. Read it in the event loop.

    Attributes:
        request_id: The engine's.
        prompt_tokens: Length of the prompt.
        items: Tokens as they come; then the output, or what went wrong, as the last item.
    """

    request_id: int
    prompt_tokens: int
    items: asyncio.Queue[TokenEvent | RequestOutput | Exception] = field(
        default_factory=asyncio.Queue
    )


class EngineLoop:
    """Runs ``llm`` in a thread until ``close``.

    Args:
        llm: Owned by the loop from now on and closed with it.
        loop: Where streams are read.

    Attributes:
        failure: What ended the engine; None while it runs.
        queue_seconds, num_scheduled: Sum over ended requests of their wait, and their number.
    """

    def __init__(self, llm: LLM | Replicas, loop: asyncio.AbstractEventLoop) -> None:
        self.failure: Exception | None = None
        self.queue_seconds = 0.0
        self.num_scheduled = 0
        self._llm = llm
        self._loop = loop
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._streams: dict[int, Stream] = {}
        self._sent = threading.Event()
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    async def submit(self, prompt: Prompt, params: SamplingParams, **how: Any) -> Stream:
        """Queue one prompt; raises what ``LLM.submit`` raises.

        Args:
            prompt: Text, or token ids.
            params: How to sample.
            how: More keyword arguments of ``LLM.submit``.
        """

        def submit() -> Stream:
            request_id = self._llm.submit(prompt, params, text=True, **how)
            stream = Stream(request_id, self._llm.output(request_id).num_prompt_tokens)
            self._streams[request_id] = stream
            return stream

        return await self.call(submit)

    async def call(self, act: Callable[[], T]) -> T:
        """Run ``act`` in the engine's thread, between two steps, and return what it returns."""
        if self.failure is not None:
            raise self.failure
        future: asyncio.Future[T] = self._loop.create_future()

        def run(refusal: Exception | None) -> None:
            try:
                if refusal is not None:
                    raise refusal
                settle = functools.partial(_set_unless_done, future, act(), None)
            except Exception as error:
                settle = functools.partial(_set_unless_done, future, None, error)
            self._loop.call_soon_threadsafe(settle)

        self._calls.put(run)
        return await future

    def abort(self, stream: Stream) -> None:
        """End a request whose client has disconnected."""

        def abort(refusal: Exception | None) -> None:
            if refusal is None and self._streams.pop(stream.request_id, None) is not None:
                self._llm.abort(stream.request_id)
                self._llm.output(stream.request_id)

        self._calls.put(abort)

    def close(self) -> None:
        """End the thread and the engine; what is on its way gets an error."""
        self._calls.put(None)
        self._thread.join()

    def _run(self) -> None:
        try:
            while self._take_calls():
                if self._llm.has_unfinished():
                    self._hand_over(self._llm.step())
            self._end(InferenceError("the server is stopping"))
        except Exception as error:
            self._end(error)
        finally:
            self._llm.close()

    def _take_calls(self) -> bool:
        """Run the waiting calls; block for one if the engine is idle. False: stop."""
        waiting = not self._llm.has_unfinished()
        while True:
            try:
                call = self._calls.get(block=waiting)
            except queue.Empty:
                return True
            if call is None:
                return False
            call(None)
            waiting = False

    def _hand_over(self, events: list[TokenEvent]) -> None:
        """Post the tokens of one step, and the outputs of what ended with it."""
        posts: list[tuple[Stream, TokenEvent | RequestOutput]] = []
        for event in events:
            stream = self._streams.get(event.request)
            if stream is None:
                continue
            posts.append((stream, event))
            if event.finish_reason is not None:
                posts.append((stream, self._collect(event.request)))
        in_flight = self._llm.occupancy()
        if in_flight["running"] + in_flight["waiting"] < len(self._streams):
            # Some ended without a token to say so.
            for request_id, stream in list(self._streams.items()):
                output = self._llm.output(request_id)  # forgets what has ended
                if output.finish_reason is not None:
                    del self._streams[request_id]
                    posts.append((stream, output))
        if posts:
            # Computing on without a pause would keep the interpreter from the thread that sends the
            # tokens: they would wait, and leave several at a time.
            self._sent.clear()
            self._loop.call_soon_threadsafe(self._post_then_set, posts)
            self._sent.wait(_SEND_LIMIT)

    def _post_then_set(self, posts: list[tuple[Stream, Any]]) -> None:
        _post(posts)
        # Their readers run in the next turn of the event loop, and what is called from it follows.
        self._loop.call_soon(self._loop.call_soon, self._sent.set)

    def _collect(self, request_id: int) -> RequestOutput:
        del self._streams[request_id]
        output = self._llm.output(request_id)
        if output.timing.queue is not None:
            self.queue_seconds += output.timing.queue
            self.num_scheduled += 1
        return output

    def _end(self, error: Exception) -> None:
        self.failure = error
        posts = [(stream, error) for stream in self._streams.values()]
        self._streams.clear()
        while True:  # calls after the end must not wait for ever
            try:
                call = self._calls.get(block=False)
            except queue.Empty:
                break
            if call is not None:
                call(error)
        if posts and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(_post, posts)


def _post(posts: list[tuple[Stream, Any]]) -> None:
    for stream, item in posts:
        stream.items.put_nowait(item)


def _set_unless_done(future: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
    if future.done():  # its caller has gone
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)
