"""What a serving team asks beside the frontier: documents, arrivals, stalls, clients that go away.

Each class is one scenario of `benchmarks.engine.team` on one model, in this process or over HTTP. TTFT, time
per token and error rate are held to the gate's absolute limits in each (docs/gate.md).
"""

from __future__ import annotations

from benchmarks.engine.in_process import suite
from benchmarks.engine.served import Served
from benchmarks.engine.team import (
    QWEN_8B,
    SMOL,
    TINY_TEAM,
    arrivals,
    cancellations,
    capacity,
    documents,
    stalls,
)
from tracker.load import utilization

LIMITS = ("ttft_p50", "ttft_p95", "tpot_p50", "itl_p50", "error_rate")
DOCUMENTS = (*LIMITS, "e2e_p50", "peak_rss", "kv_cache_bytes")
ARRIVALS = (*LIMITS, "queue_time_p50", "queue_time_p95", "server_queue_time", "goodput_relaxed")
STALLS = (*LIMITS, "probe_gap_p50", "probe_gap_max")
CANCELLATIONS = (*LIMITS, "throughput", "blocks_leaked")
CAPACITY = ("max_rate", *LIMITS, "throughput")
ON_GPU = ("peak_cuda_memory", "energy_per_token", *utilization.ON_GPU)


@suite(documents(TINY_TEAM, requests=12), *DOCUMENTS)
class DocumentsTiny:
    """Long documents: the tiny preset."""


@suite(documents(TINY_TEAM, requests=12), *DOCUMENTS, target=Served)
class DocumentsHttpTiny:
    """Long documents: the tiny preset, over HTTP."""


@suite(documents(SMOL, requests=3), *DOCUMENTS)
class DocumentsSmol:
    """Long documents: SmolLM2-135M."""


@suite(documents(SMOL, requests=3), *DOCUMENTS, target=Served)
class DocumentsHttpSmol:
    """Long documents: SmolLM2-135M, over HTTP."""


@suite(documents(QWEN_8B, requests=32), *DOCUMENTS, *ON_GPU)
class DocumentsQwen8:
    """Long documents: Qwen3-8B's shape on a GPU."""


@suite(arrivals(TINY_TEAM, rate=60.0, requests=120), *ARRIVALS)
class PoissonTiny:
    """Poisson arrivals: the tiny preset."""


@suite(arrivals(TINY_TEAM, rate=60.0, requests=120), *ARRIVALS, target=Served)
class PoissonHttpTiny:
    """Poisson arrivals: the tiny preset, over HTTP."""


@suite(arrivals(SMOL, rate=2.0, requests=6), *ARRIVALS)
class PoissonSmol:
    """Poisson arrivals: SmolLM2-135M."""


@suite(arrivals(SMOL, rate=2.0, requests=6), *ARRIVALS, target=Served)
class PoissonHttpSmol:
    """Poisson arrivals: SmolLM2-135M, over HTTP."""


@suite(arrivals(QWEN_8B, rate=50.0, requests=500), *ARRIVALS, *ON_GPU)
class PoissonQwen8:
    """Poisson arrivals: Qwen3-8B's shape on a GPU."""


@suite(arrivals(TINY_TEAM, rate=64.0, requests=128, burst=16), *ARRIVALS)
class BurstsTiny:
    """Arrivals in bursts: the tiny preset."""


@suite(arrivals(TINY_TEAM, rate=64.0, requests=128, burst=16), *ARRIVALS, target=Served)
class BurstsHttpTiny:
    """Arrivals in bursts: the tiny preset, over HTTP."""


@suite(arrivals(SMOL, rate=2.0, requests=6, burst=3), *ARRIVALS)
class BurstsSmol:
    """Arrivals in bursts: SmolLM2-135M."""


@suite(arrivals(SMOL, rate=2.0, requests=6, burst=3), *ARRIVALS, target=Served)
class BurstsHttpSmol:
    """Arrivals in bursts: SmolLM2-135M, over HTTP."""


@suite(arrivals(QWEN_8B, rate=64.0, requests=512, burst=64), *ARRIVALS, *ON_GPU)
class BurstsQwen8:
    """Arrivals in bursts: Qwen3-8B's shape on a GPU."""


@suite(stalls(TINY_TEAM, rate=10.0, requests=20), *STALLS)
class StallsTiny:
    """A stream beside long prompts: the tiny preset."""


@suite(stalls(TINY_TEAM, rate=10.0, requests=20), *STALLS, target=Served)
class StallsHttpTiny:
    """A stream beside long prompts: the tiny preset, over HTTP."""


@suite(stalls(SMOL, rate=0.5, requests=3), *STALLS)
class StallsSmol:
    """A stream beside long prompts: SmolLM2-135M."""


@suite(stalls(SMOL, rate=0.5, requests=3), *STALLS, target=Served)
class StallsHttpSmol:
    """A stream beside long prompts: SmolLM2-135M, over HTTP."""


@suite(stalls(QWEN_8B, rate=4.0, requests=40), *STALLS, *ON_GPU)
class StallsQwen8:
    """A stream beside long prompts: Qwen3-8B's shape on a GPU."""


@suite(cancellations(TINY_TEAM, requests=48), *CANCELLATIONS)
class CancelledTiny:
    """Clients that go away: the tiny preset."""


@suite(cancellations(TINY_TEAM, requests=48), *CANCELLATIONS, target=Served)
class CancelledHttpTiny:
    """Clients that go away: the tiny preset, over HTTP."""


@suite(cancellations(SMOL, requests=6), *CANCELLATIONS)
class CancelledSmol:
    """Clients that go away: SmolLM2-135M."""


@suite(cancellations(SMOL, requests=6), *CANCELLATIONS, target=Served)
class CancelledHttpSmol:
    """Clients that go away: SmolLM2-135M, over HTTP."""


@suite(cancellations(QWEN_8B, requests=96), *CANCELLATIONS, *ON_GPU)
class CancelledQwen8:
    """Clients that go away: Qwen3-8B's shape on a GPU."""


@suite(capacity(TINY_TEAM, start=100.0, requests=100), *CAPACITY)
class CapacityTiny:
    """Highest rate that holds the limits: the tiny preset."""


@suite(capacity(TINY_TEAM, start=100.0, requests=100), *CAPACITY, target=Served)
class CapacityHttpTiny:
    """Highest rate that holds the limits: the tiny preset, over HTTP."""


@suite(capacity(QWEN_8B, start=8.0, requests=256), *CAPACITY)
class CapacityQwen8:
    """Highest rate that holds the limits: Qwen3-8B's shape on a GPU."""


@suite(capacity(SMOL, start=1.0, requests=6), *CAPACITY)
class CapacitySmol:
    """Highest rate that holds the limits: SmolLM2-135M."""
