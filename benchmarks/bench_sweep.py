"""The frontier: latency against throughput from one request in flight to a hundred.

Each class is one launch for every concurrency, its parameter. ``tpot_attenuation`` says how many times
longer a token takes than for a request alone. Lengths are 256 in and 128 out (short), 1,024 in and 512
out (long) for a full-size model, scaled down for those that a CPU runs.
"""

from __future__ import annotations

from benchmarks.engine.in_process import suite
from benchmarks.engine.served import Served
from benchmarks.engine.team import LONG, QWEN_0_6B, QWEN_8B, SHORT, SMOL, TINY_TEAM, frontier
from tracker.load import utilization

METRICS = (
    "ttft_p50",
    "ttft_p95",
    "tpot_p50",
    "itl_p50",
    "itl_p99",
    "throughput",
    "error_rate",
    "tpot_attenuation",
)
ON_GPU = (
    *METRICS,
    "energy_per_token",
    "cost_per_mtok",
    "mbu_decode",
    "mfu_prefill",
    *utilization.ON_GPU,
)


@suite(frontier(TINY_TEAM, SHORT), *METRICS)
class SweepTinyShort:
    """The tiny preset, short."""


@suite(frontier(TINY_TEAM, LONG), *METRICS)
class SweepTinyLong:
    """The tiny preset, long."""


@suite(frontier(SMOL, SHORT), *METRICS)
class SweepSmolShort:
    """SmolLM2-135M, short."""


@suite(frontier(TINY_TEAM, SHORT), *METRICS, target=Served)
class SweepHttpTinyShort:
    """The tiny preset over HTTP, short."""


@suite(frontier(TINY_TEAM, LONG), *METRICS, target=Served)
class SweepHttpTinyLong:
    """The tiny preset over HTTP, long."""


@suite(frontier(SMOL, SHORT), *METRICS, target=Served)
class SweepHttpSmolShort:
    """SmolLM2-135M over HTTP, short."""


@suite(frontier(QWEN_0_6B, SHORT), *ON_GPU)
class SweepQwen06Short:
    """Qwen3-0.6B's shape on a GPU, short."""


@suite(frontier(QWEN_0_6B, LONG), *ON_GPU)
class SweepQwen06Long:
    """Qwen3-0.6B's shape on a GPU, long."""


@suite(frontier(QWEN_8B, SHORT), *ON_GPU)
class SweepQwen8Short:
    """Qwen3-8B's shape on a GPU, short."""


@suite(frontier(QWEN_8B, LONG), *ON_GPU)
class SweepQwen8Long:
    """Qwen3-8B's shape on a GPU, long."""


@suite(frontier(QWEN_8B, SHORT), *ON_GPU, target=Served)
class SweepHttpQwen8Short:
    """Qwen3-8B's shape on a GPU over HTTP, short."""
