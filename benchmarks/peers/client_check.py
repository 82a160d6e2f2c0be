"""The HTTP client's times against those of a bare socket on guidellm's mock server.

The mock sleeps 50 ms before the first token and 10 ms before each other one, and its own work comes on top.
A blocking socket that reads the clock at each event shows when the events really come; the client must find
the same within `TOLERANCE`.
"""

from __future__ import annotations

import json
import socket
import time
from itertools import pairwise
from statistics import median
from urllib.parse import urlsplit

from benchmarks.peers.servers import MOCK, PeerServer, running
from tracker.errors import MeasurementError
from tracker.load.run import run_scenario
from tracker.load.spec import scenario_of

__all__ = ["TOLERANCE", "Times", "bare_times", "check_client"]

TOLERANCE = 1e-3  # seconds
OUTPUT = 32
REQUESTS = 30  # of each turn

Times = dict[str, float]  # ttft_p50 and itl_p50, seconds


def bare_times(url: str, *, model: str, requests: int = REQUESTS) -> Times:
    """Return the medians that a blocking socket sees, one request after the other on one connection."""
    address = urlsplit(url)
    body = json.dumps(
        {"model": model, "prompt": "a b c d e f g h", "max_tokens": OUTPUT, "stream": True}
    ).encode()
    head = (
        f"POST /v1/completions HTTP/1.1\r\nHost: {address.netloc}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    first, gaps = [], []
    with socket.create_connection((address.hostname, address.port), timeout=60.0) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(requests):
            began = time.perf_counter()
            connection.sendall(head.encode() + body)
            arrivals: list[float] = []
            received = b""
            while not received.endswith(b"0\r\n\r\n"):
                data = connection.recv(65536)
                if not data:
                    raise MeasurementError(f"{url} closed the connection within a reply")
                received += data
                if b'"text"' in data:
                    arrivals.append(time.perf_counter())
            first.append(arrivals[0] - began)
            gaps += [later - earlier for earlier, later in pairwise(arrivals)]
    return {"ttft_p50": median(first), "itl_p50": median(gaps)}


def check_client(
    server: PeerServer = MOCK, *, model: str = "mock", requests: int = REQUESTS
) -> tuple[Times, Times]:
    """Return the times of the bare socket and of the client, measured by turns.

    Raises:
        MeasurementError: The server does not start, or the load is void.
    """
    # Here, not above: asv looks for suites in every module of benchmarks, and none may load aiohttp.
    from tracker.load.http import Endpoint, Lag

    table = {
        "requests": requests, "prompt": 8, "output": OUTPUT, "text": True, "natural_end": True,
        "load": {"concurrency": 1},
    }  # fmt: skip
    bare: list[Times] = []
    client: list[Times] = []
    with running(server) as url:
        # Never client-bound: how late the client is, is what is asked here.
        endpoint = Endpoint(url=url, lag=Lag(seconds=60.0))
        for _ in range(3):
            bare.append(bare_times(url, model=model, requests=requests))
            result = run_scenario("client", scenario_of("client", table), endpoint)
            if result.void is not None:
                raise MeasurementError(f"{server.name}: {result.void}")
            client.append({name: _known(result.metrics[name], name) for name in bare[0]})
    return _middle(bare), _middle(client)


def _known(value: float | None, name: str) -> float:
    if value is None:
        raise MeasurementError(f"the client has no {name}")
    return value


def _middle(turns: list[Times]) -> Times:
    return {name: median(turn[name] for turn in turns) for name in turns[0]}
