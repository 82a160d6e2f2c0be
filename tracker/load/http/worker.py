"""One client process of a load: ``python -m tracker.load.http.worker``, started by ``workers``."""

from __future__ import annotations

import gc
import pickle
import sys
import time

from tracker.load.http.client import Exchange, open_session
from tracker.load.http.drive import drive_http
from tracker.load.http.endpoint import Endpoint
from tracker.load.http.loop import ReadDelay, measured_loop
from tracker.load.http.payload import Payload
from tracker.load.records import LoadRequest


def main() -> None:
    """Read the job, say that it is ready, read the common start, run, write the exchanges."""
    stdin, stdout = sys.stdin.buffer, sys.stdout.buffer
    size = int.from_bytes(stdin.read(8), "big")
    endpoint, payload, requests, slots, limit = pickle.loads(stdin.read(size))
    stdout.write(b"ready\n")
    stdout.flush()
    start = float(stdin.readline())
    gc.collect()
    gc.disable()
    loop, delay = measured_loop()
    work = _drive(endpoint, payload, requests, slots, limit, start, delay)
    done = loop.run_until_complete(work)
    loop.close()
    pickle.dump(done, stdout)


async def _drive(
    endpoint: Endpoint,
    payload: Payload,
    requests: list[LoadRequest],
    slots: int | None,
    limit: float,
    start: float,
    delay: ReadDelay,
) -> dict[int, Exchange]:
    session = open_session(endpoint.all_headers(), time.perf_counter, delay, endpoint.connector())
    async with session.http:
        _, done = await drive_http(
            session,
            endpoint.target_url,
            requests,
            payload.body,
            concurrency=slots,
            limit=limit,
            streamed=endpoint.stream,
            start=start,
        )
    return done


if __name__ == "__main__":
    main()
