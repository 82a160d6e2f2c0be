"""A load from several client processes, where one core is not enough."""

from __future__ import annotations

import asyncio
import os
import pickle
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tracker.errors import MeasurementError
from tracker.load.http.client import Exchange
from tracker.load.http.failure import RequestFailure
from tracker.load.http.payload import Payload
from tracker.load.records import LoadRequest

if TYPE_CHECKING:
    from tracker.load.http.endpoint import Endpoint

__all__ = ["drive_in_processes", "shares"]

_TREE = Path(__file__).parents[3]  # what holds the package ``tracker``
_START = 60.0  # seconds for a process to say that it is ready
_HEAD_START = 0.05  # seconds between the last "ready" and the common start


def shares(
    requests: Sequence[LoadRequest], concurrency: int | None, processes: int
) -> list[tuple[list[LoadRequest], int | None]]:
    """Deal ``requests`` out: each process' part, in order, and its share of the concurrency.

    Turns of one chat stay together. No process is left without a request or a slot.
    """
    heads = [r for r in requests if r.follows is None]
    count = min(processes, len(heads), concurrency or processes)
    of_request: dict[int, int] = {r.index: i % count for i, r in enumerate(heads)}
    parts: list[list[LoadRequest]] = [[] for _ in range(count)]
    for request in requests:
        if request.follows is not None:
            of_request[request.index] = of_request[request.follows]
        parts[of_request[request.index]].append(request)
    slots = [None if concurrency is None else concurrency // count for _ in range(count)]
    for i in range((concurrency or 0) % count):
        slots[i] = (slots[i] or 0) + 1
    return list(zip(parts, slots, strict=True))


async def drive_in_processes(
    endpoint: Endpoint,
    payload: Payload,
    requests: Sequence[LoadRequest],
    concurrency: int | None,
    limit: float,
) -> tuple[float, dict[int, Exchange]]:
    """Run ``requests`` from ``endpoint.processes`` processes that start together; see ``drive_http``.

    The requests of a process that dies are recorded as cancelled.

    Raises:
        MeasurementError: A process does not start.
    """
    parts = shares(requests, concurrency, endpoint.processes)
    children = [await _started(endpoint, payload, part, slots, limit) for part, slots in parts]
    try:
        for child in children:
            await _ready(child)
        # The clock is the machine's monotonic one, the same in every process.
        began = time.perf_counter() + _HEAD_START
        results = await asyncio.gather(
            *(child.communicate(f"{began!r}\n".encode()) for child in children)
        )
    finally:
        for child in children:
            if child.returncode is None:
                child.kill()
                await child.wait()
    done: dict[int, Exchange] = {}
    for child, (out, _), (part, _) in zip(children, results, parts, strict=True):
        if child.returncode == 0:
            done |= pickle.loads(out)
            continue
        failure = RequestFailure(
            "cancelled", f"its client process died (exit code {child.returncode})"
        )
        for request in part:
            at = began + (request.due or 0.0)
            done[request.index] = Exchange(at, ended=at, failure=failure)
    return began, done


async def _started(*job: Any) -> asyncio.subprocess.Process:
    environment = dict(os.environ)
    paths = [str(_TREE), *filter(None, [environment.get("PYTHONPATH")])]
    environment["PYTHONPATH"] = os.pathsep.join(paths)
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tracker.load.http.worker",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=environment,
    )
    assert child.stdin is not None
    plain = pickle.dumps(job)
    child.stdin.write(len(plain).to_bytes(8, "big") + plain)
    await child.stdin.drain()
    return child


async def _ready(child: asyncio.subprocess.Process) -> None:
    assert child.stdout is not None
    try:
        line = await asyncio.wait_for(child.stdout.readline(), _START)
    except TimeoutError:
        line = b""
    if line != b"ready\n":
        raise MeasurementError("a client process of the load did not start; see its message above")
