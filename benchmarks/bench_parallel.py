"""One model over two devices, and what a server may keep: blocks in host memory, outputs of earlier requests.

Each stands beside the same load without it, so that its price is the quotient of two series.
"""

from __future__ import annotations

from typing import Any

from benchmarks.engine.in_process import suite
from benchmarks.engine.models import TINY
from tracker.load import utilization
from tracker.load.lengths import Fixed
from tracker.load.scenario import ClosedLoop, Conversations, Independent, Scenario

METRICS = (
    "tpot_p50",
    "throughput",
    "communication_bytes_per_step",
    "communication_share",
    "error_rate",
    "steps",
    *utilization.NAMES,
)
MEMORY = (
    "ttft_p50",
    "throughput",
    "prefill_tokens",
    "prefix_hit_rate",
    "blocks_stored",
    "blocks_restored",
    "kv_fragmentation",
    "error_rate",
)
ANSWERS = ("ttft_p50", "throughput", "response_cache_hit_rate", "decode_tokens", "error_rate")

# Of the cache that eight chats of five turns fill, a third.
CROWDED: dict[str, Any] = {"num_blocks": 60, "max_model_len": 512, "max_num_seqs": 4}


def _decode(**engine: Any) -> Scenario:
    return Scenario(
        version="1",
        model=TINY,
        workload=Independent(requests=32, prompt=Fixed(16), output=Fixed(64)),
        load=ClosedLoop(concurrency=8),
        engine={"max_model_len": 128, **engine},
    )


def _chats(**engine: Any) -> Scenario:
    return Scenario(
        version="1",
        model=TINY,
        workload=Conversations(chats=8, turns=5, system=16, user=Fixed(24), output=Fixed(16)),
        load=ClosedLoop(concurrency=8),
        engine={**CROWDED, **engine},
    )


def _again(**engine: Any) -> Scenario:
    # Prompts of one token out of 512: more than a third are asked again.
    return Scenario(
        version="1",
        model=TINY,
        workload=Independent(requests=512, prompt=Fixed(1), output=Fixed(8)),
        load=ClosedLoop(concurrency=8),
        engine={"max_model_len": 64, **engine},
    )


@suite(_decode(), *METRICS)
class OneRankTiny:
    """The tiny preset on one device."""


@suite(_decode(tensor_parallel=2), *METRICS)
class TwoRanksTiny:
    """The tiny preset over two processes."""


@suite(_decode(pipeline_parallel=2), *METRICS)
class TwoStagesTiny:
    """The tiny preset, a layer on each of two processes."""


@suite(_decode(replicas=2), "tpot_p50", "throughput", "error_rate", "steps")
class TwoReplicasTiny:
    """Two engines of the tiny preset behind one queue, in threads."""


@suite(_chats(), *MEMORY)
class CrowdedTiny:
    """Chats in a cache that is too small for them: what is evicted is computed again."""


@suite(_chats(host_cache_bytes=1 << 22), *MEMORY)
class HostCacheTiny:
    """The same with 4 MiB of host memory for evicted blocks."""


@suite(_again(), *ANSWERS)
class AgainTiny:
    """Prompts asked again, each computed."""


@suite(_again(response_cache_tokens=8192), *ANSWERS)
class AnsweredTiny:
    """The same, answered by earlier outputs."""
