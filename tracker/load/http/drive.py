"""A load over HTTP: every request sent when it is due, every reply read; parsed when the clock has stopped."""

from __future__ import annotations

import asyncio
import dataclasses
from collections import deque
from collections.abc import Callable, Sequence

from tracker.load.http.client import Exchange, HttpSession, exchange
from tracker.load.http.failure import RequestFailure
from tracker.load.http.payload import Body, Turns
from tracker.load.http.reply import CountTokens, Reply, read_body, read_stream
from tracker.load.records import LoadRequest

__all__ = ["drive_http", "read_reply"]

SPIN = 1.5e-3  # seconds; a timer of the event loop is late by up to 1 ms, the rest is polled


async def drive_http(
    session: HttpSession,
    url: str,
    requests: Sequence[LoadRequest],
    body_of: Body,
    *,
    concurrency: int | None,
    limit: float,
    streamed: bool = True,
    start: float | None = None,
    spin: float = SPIN,
) -> tuple[float, dict[int, Exchange]]:
    """Run ``requests`` to their ends and return the load's start and each request's exchange.

    The load ends after ``limit`` seconds: what is unfinished is cancelled and has timed out, what was
    not sent by then never is.

    Args:
        session: Open.
        url: Of the endpoint.
        requests: In order of arrival.
        body_of: The bytes to post for a request, given the turns before it.
        concurrency: Requests in flight at most; None leaves it to their arrival times.
        limit: Seconds.
        streamed: Whether replies are events.
        start: When the load begins on the session's clock; None: now.
        spin: Seconds before an arrival from which on the clock is polled.
    """
    clock = session.clock
    turns = Turns(requests)
    # Bodies that need no reply are made before the clock starts.
    bodies = {r.index: body_of(r, turns) for r in requests if r.follows is None}
    ready = deque(r for r in requests if r.follows is None)
    after = {r.follows: r for r in requests if r.follows is not None}
    done: dict[int, Exchange] = {}
    began = clock() if start is None else start
    if start is not None:
        await _until(start, clock, spin)

    async def send(request: LoadRequest, due: float) -> None:
        while True:
            done[request.index] = item = Exchange(due, cancel_after=request.cancel_after)
            body = bodies.pop(request.index, None) or body_of(request, turns)
            await exchange(session, url, body, item)
            following = after.get(request.index)
            if following is None:
                return
            due = clock()  # a client goes on with its chat as soon as it has the answer
            reply = read_reply(item, streamed=streamed)
            turns.add(request.index, reply.text, reply.token_ids)
            request = following

    async def closed_loop() -> None:
        due = clock()
        while ready:
            request = ready.popleft()
            await send(request, due)
            due = clock()

    async def open_loop() -> None:
        async with asyncio.TaskGroup() as group:
            while ready:
                due = began + (ready[0].due or 0.0)
                await _until(due, clock, spin)
                group.create_task(send(ready.popleft(), due))

    async def whole() -> None:
        async with asyncio.TaskGroup() as group:
            if concurrency is None:
                group.create_task(open_loop())
            else:
                for _ in range(min(concurrency, len(ready))):
                    group.create_task(closed_loop())

    try:
        await asyncio.wait_for(whole(), began + limit - clock())
    except ExceptionGroup as group:
        raise group.exceptions[0] from group
    except TimeoutError:
        _time_out(requests, done, began, limit)
    return began, done


def read_reply(item: Exchange, *, streamed: bool, count_tokens: CountTokens | None = None) -> Reply:
    """Return what an exchange's body says; its failure is the exchange's, if that has one."""
    if not streamed and item.failure is None:
        body = b"".join(part for _, part in item.reads)
        return read_body(item.reads[-1][0] if item.reads else item.scheduled, body, count_tokens)
    reply = read_stream(item.reads if streamed else (), count_tokens)
    return reply if item.failure is None else dataclasses.replace(reply, failure=item.failure)


async def _until(due: float, clock: Callable[[], float], spin: float) -> None:
    """Return as soon after ``due`` as this process can."""
    early = due - spin - clock()
    if early > 0:
        await asyncio.sleep(early)
    while spin and clock() < due:
        await asyncio.sleep(0)


def _time_out(
    requests: Sequence[LoadRequest],
    done: dict[int, Exchange],
    began: float,
    limit: float,
) -> None:
    """Record what did not end in time as failed."""
    for request in requests:
        item = done.setdefault(request.index, Exchange(began + (request.due or 0.0)))
        if item.sent is None:
            item.failure = RequestFailure("time-out", f"never sent within the load's {limit:g} s")
        elif item.failure is not None and item.failure.kind == "cancelled":
            item.failure = RequestFailure("time-out", f"not finished within the load's {limit:g} s")
