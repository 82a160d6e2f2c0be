"""Memory: the process's peak, and the sizes the engine chose."""

from __future__ import annotations

from benchmarks.engine.in_process import suite
from benchmarks.engine.models import QWEN3_0_6B, QWEN3_8B, SMOLLM2, TINY
from tracker.load.lengths import Fixed
from tracker.load.scenario import ClosedLoop, Independent, Model, Scenario

ON_CPU = ("peak_rss", "weight_bytes", "kv_cache_bytes", "peak_blocks_used", "kv_fragmentation")
ON_GPU = ("peak_cuda_memory", *ON_CPU)


def _batch(model: Model, **engine: str) -> Scenario:
    return Scenario(
        version="2",
        model=model,
        workload=Independent(requests=8, prompt=Fixed(128), output=Fixed(16)),
        load=ClosedLoop(concurrency=8),
        engine={"max_model_len": 1024, "max_num_seqs": 8, **engine},
        warmup=0,  # no clock is read, and the peak is the load's own
    )


@suite(_batch(TINY), *ON_CPU)
class Tiny:
    """The tiny preset, eight sequences."""


@suite(_batch(SMOLLM2), *ON_CPU)
class Smol:
    """SmolLM2-135M, eight sequences."""


@suite(_batch(SMOLLM2, kv_dtype="int8"), *ON_CPU)
class SmolKvInt8:
    """SmolLM2-135M, eight sequences, keys and values in int8."""


@suite(_batch(QWEN3_0_6B), *ON_GPU)
class Qwen06:
    """Qwen3-0.6B's shape on a GPU, eight sequences."""


@suite(_batch(QWEN3_8B), *ON_GPU)
class Qwen8:
    """Qwen3-8B's shape on a GPU, eight sequences."""
