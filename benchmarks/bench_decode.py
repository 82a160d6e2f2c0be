"""Decode: short prompts, long outputs, a batch that stays full to the end."""

from __future__ import annotations

from typing import Any

from benchmarks.engine.in_process import suite
from benchmarks.engine.models import QWEN3_0_6B, QWEN3_8B, SMOLLM2, TINY
from benchmarks.engine.sizes import SMOL_ENGINE, TINY_ENGINE
from tracker.load import utilization
from tracker.load.lengths import Fixed
from tracker.load.scenario import ClosedLoop, Independent, Model, Scenario

METRICS = (
    "tpot_p50",
    "itl_p50",
    "itl_p99",
    "decode_throughput",
    "cpu_time_per_token",
    "error_rate",
    "steps",
    "op_calls_per_step",
    *utilization.NAMES,
)
ON_GPU = (*METRICS, "energy_per_token", *utilization.ON_GPU)


def _decode(
    model: Model, batch: int, waves: int, tokens: int, version: str = "2", **more: Any
) -> Scenario:
    return Scenario(
        version=version,
        model=model,
        workload=Independent(requests=batch * waves, prompt=Fixed(16), output=Fixed(tokens)),
        load=ClosedLoop(concurrency=batch),
        **more,
    )


@suite(_decode(TINY, 1, 4, 128, engine=TINY_ENGINE), *METRICS)
class TinyB1:
    """The tiny preset, one sequence at a time."""


# Long enough that a launch measures for seconds: this repository's own gate judges it.
@suite(_decode(TINY, 8, 20, 128, version="3", engine=TINY_ENGINE), *METRICS)
class TinyB8:
    """The tiny preset, eight sequences at a time."""


@suite(
    Scenario(
        version="2",
        model=SMOLLM2,
        workload=Independent(requests=2, prompt=Fixed(24), output=Fixed(24), text=True),
        load=ClosedLoop(concurrency=1),
        engine=SMOL_ENGINE,
        warmup=1,
    ),
    *METRICS,
)
class SmolB1:
    """SmolLM2-135M continuing English text, one sequence at a time."""


@suite(_decode(QWEN3_0_6B, 1, 4, 1024), *ON_GPU)
class Qwen06B1:
    """Qwen3-0.6B's shape on a GPU, one sequence at a time."""


@suite(_decode(QWEN3_0_6B, 32, 2, 1024), *ON_GPU)
class Qwen06B32:
    """Qwen3-0.6B's shape on a GPU, 32 sequences at a time."""


@suite(_decode(QWEN3_8B, 1, 2, 512), *ON_GPU)
class Qwen8B1:
    """Qwen3-8B's shape on a GPU, one sequence at a time."""


@suite(_decode(QWEN3_8B, 8, 2, 512), *ON_GPU)
class Qwen8B8:
    """Qwen3-8B's shape on a GPU, eight sequences at a time."""
