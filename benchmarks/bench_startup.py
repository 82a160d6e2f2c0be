"""Start-up: from a bare process to the first token."""

from __future__ import annotations

from benchmarks.engine.in_process import suite
from benchmarks.engine.models import QWEN3_0_6B, QWEN3_8B, SMOLLM2, TINY
from tracker.load.lengths import Fixed
from tracker.load.scenario import ClosedLoop, Independent, Model, Scenario

METRICS = ("import_time", "construct_time", "first_token_time", "cold_start_time")


def _one(model: Model) -> Scenario:
    return Scenario(
        version="1",
        model=model,
        workload=Independent(requests=1, prompt=Fixed(32), output=Fixed(2)),
        load=ClosedLoop(concurrency=1),
        engine={"max_model_len": 1024},
        warmup=1,  # the first token of all is the warm-up's
    )


@suite(_one(TINY), *METRICS)
class Tiny:
    """The tiny preset."""


@suite(_one(SMOLLM2), *METRICS)
class Smol:
    """SmolLM2-135M, weights read from disk."""


@suite(_one(QWEN3_0_6B), *METRICS)
class Qwen06:
    """Qwen3-0.6B's shape on a GPU."""


@suite(_one(QWEN3_8B), *METRICS)
class Qwen8:
    """Qwen3-8B's shape on a GPU."""
