"""Requests through an engine: the only loop whose time is measured.

It does as little as it can between two steps: append to lists, and hand in what is due. Everything
else (counting, hashing, writing) happens after the clock has stopped.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from tracker.load.records import LoadRequest, RequestRecord

__all__ = ["Drive", "SteppedEngine", "drive"]

TIMED_OUT = "timed out"


class SteppedEngine(Protocol):
    """What is driven: the public names of ``inference.LLM`` that a load needs.

    An event of ``step`` unpacks as (request id, token id, seconds) and has a ``finish_reason``,
    which is set on a request's last token.
    """

    def submit(self, prompt: Any, params: Any) -> int: ...
    def step(self) -> Iterable[Any]: ...
    def output(self, request_id: int) -> Any: ...
    def abort(self, request_id: int) -> Any: ...
    def has_unfinished(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Drive:
    """What came of a load.

    Attributes:
        started: The load's start on ``time.perf_counter``'s clock, s; records count from it.
        ended: When the last step had returned, on the same clock, s.
        records: One for each request, in order of index.
        prompts: The token ids or text that each request was really made with.
        outputs: The token ids of each, or its text where a server sends no ids.
    """

    started: float
    ended: float
    records: tuple[RequestRecord, ...]
    prompts: tuple[tuple[int, ...] | str, ...]
    outputs: tuple[tuple[int, ...] | str, ...]


@dataclass(slots=True)
class _Live:
    request: LoadRequest
    prompt: tuple[int, ...] | str
    submitted: float
    tokens: list[int] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    finish_reason: str | None = None
    error: str | None = None
    output: Any = None
    cancelled: bool = False


def drive(
    engine: SteppedEngine,
    requests: Sequence[LoadRequest],
    params_of: Callable[[LoadRequest], Any],
    *,
    concurrency: int | None,
    fixed_length: bool = True,
    limit: float = 120.0,
    clock: Callable[[], float] = time.perf_counter,
    sleep: Callable[[float], None] = time.sleep,
) -> Drive:
    """Run ``requests`` to their ends and return when every token came.

    Args:
        engine: A started engine, idle.
        requests: In order of arrival.
        params_of: The sampling parameters of a request.
        concurrency: Requests in flight at most; None leaves it to their arrival times.
        fixed_length: An output of any length but ``max_tokens`` is a failure.
        limit: Seconds after which what is unfinished is aborted and has timed out.
        clock: Seconds; the clock of the engine's events.
        sleep: Waits for the next arrival while the engine is idle.

    A request the engine refuses, or that ends in an error, is recorded with that error; what
    ``engine.step`` raises is raised here.
    """
    params = [params_of(request) for request in requests]  # made before the clock starts
    place = {request.index: i for i, request in enumerate(requests)}
    ready = deque(r for r in requests if r.follows is None)
    after = {r.follows: r for r in requests if r.follows is not None}
    live: dict[int, _Live] = {}
    done: dict[int, _Live] = {}

    def finish(item: _Live) -> None:
        done[item.request.index] = item
        following = after.pop(item.request.index, None)
        if following is not None:
            # Ahead of the queue: a client goes on with its chat before a new one begins.
            ready.appendleft(following)

    start = clock()
    while ready or live:
        now = clock() - start
        if now > limit:
            break
        while ready and (concurrency is None or len(live) < concurrency):
            request = ready[0]
            if request.due is not None and request.due > now:
                break
            ready.popleft()
            prompt = _full_prompt(request, done)
            item = _Live(request, prompt, now if request.due is None else request.due)
            if request.due is None:
                item.submitted = clock() - start
            try:
                request_id = engine.submit(prompt, params[place[request.index]])
            except Exception as error:
                item.error = f"{type(error).__name__}: {error}"
                finish(item)
            else:
                live[request_id] = item
        if not live:
            if ready and ready[0].due is not None:
                sleep(max(0.0, ready[0].due - (clock() - start)))
            continue
        for event in engine.step():
            request_id, token, at = event
            if request_id not in live:
                continue  # cancelled by an event of the same step
            item = live[request_id]
            item.tokens.append(token)
            item.times.append(at - start)
            if event.finish_reason is None and len(item.tokens) == item.request.cancel_after:
                engine.abort(request_id)
                item.cancelled = True
                item.output = engine.output(request_id)
                del live[request_id]
                finish(item)
            elif event.finish_reason is not None:
                item.finish_reason = event.finish_reason
                item.output = engine.output(request_id)
                del live[request_id]
                finish(item)
        if live and not engine.has_unfinished():
            # Ended without a token to say so: an error.
            for request_id, item in list(live.items()):
                item.output = engine.output(request_id)
                item.finish_reason = item.output.finish_reason
                item.error = item.output.error
                del live[request_id]
                finish(item)
    ended = clock()
    for request_id, item in live.items():
        engine.abort(request_id)
        item.error = f"{TIMED_OUT} after {limit:g} s"
        done[item.request.index] = item

    return _collect(requests, done, start, ended, fixed_length=fixed_length, limit=limit)


def _full_prompt(request: LoadRequest, done: dict[int, _Live]) -> tuple[int, ...] | str:
    if request.follows is None:
        return request.prompt
    before = done[request.follows]
    if isinstance(before.prompt, str) or isinstance(request.prompt, str):
        raise TypeError("a request of text cannot follow another; chats are made of token ids")
    return before.prompt + tuple(before.tokens) + request.prompt


def _collect(
    requests: Sequence[LoadRequest],
    done: dict[int, _Live],
    start: float,
    ended: float,
    *,
    fixed_length: bool,
    limit: float,
) -> Drive:
    records = []
    prompts = []
    outputs = []
    for request in requests:
        item = done.get(request.index)
        if item is None:
            item = _Live(request, request.prompt, request.due or ended - start)
            item.error = f"{TIMED_OUT}: never submitted within {limit:g} s"
        error = item.error or getattr(item.output, "error", None)
        counted = getattr(item.output, "num_prompt_tokens", None)
        scheduled = getattr(getattr(item.output, "timing", None), "scheduled", None)
        records.append(
            RequestRecord(
                index=request.index,
                prompt_tokens=counted if counted is not None else len(item.prompt),
                expected_tokens=request.max_tokens if fixed_length else None,
                submitted=item.submitted,
                token_times=tuple(item.times),
                finish_reason=item.finish_reason,
                cached_tokens=getattr(item.output, "num_cached_tokens", 0),
                error=error,
                scheduled=None if scheduled is None else scheduled - start,
                cancelled=item.cancelled,
            )
        )
        prompts.append(item.prompt)
        outputs.append(tuple(item.tokens))
    return Drive(start, ended, tuple(records), tuple(prompts), tuple(outputs))
