"""HTTP: the scenarios of ``bench_serving`` on the engine's own server, to price HTTP.

The same work as the class of the same name there: what a metric is larger by is what HTTP costs,
server and client together. On a machine whose cores client and server have to share, the client may
be the limit; the classes are then skipped.
"""

from __future__ import annotations

from benchmarks import bench_serving
from benchmarks.engine.served import Served
from tracker.load.suite import suite

METRICS = (
    "ttft_p50",
    "ttft_p95",
    "tpot_p50",
    "itl_p99",
    "e2e_p50",
    "throughput",
    "error_rate",
    "server_queue_time",
    "client_lag_p99",
)


@suite(bench_serving.TinyC4.work, *METRICS, target=Served)
class HttpTinyC4:
    """The tiny preset, chat lengths, four requests at a time."""


@suite(bench_serving.TinyPoisson.work, *METRICS, target=Served)
class HttpTinyPoisson:
    """The tiny preset, code-completion lengths, 50 Poisson arrivals a second."""


@suite(bench_serving.SmolC2.work, *METRICS, target=Served)
class HttpSmolC2:
    """SmolLM2-135M on English text, two requests at a time."""
