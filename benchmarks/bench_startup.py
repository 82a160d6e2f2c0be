"""Start-up: from a bare process to the first token; and what of it a warm process saves."""

from __future__ import annotations

from benchmarks.engine.in_process import Restarted
from benchmarks.engine.models import QWEN3_0_6B, QWEN3_8B, SMOLLM2, TINY
from tracker.load.lengths import Fixed
from tracker.load.scenario import ClosedLoop, Independent, Model, Scenario
from tracker.load.suite import suite

METRICS = (
    "import_time",
    "construct_time",
    "first_token_time",
    "cold_start_time",
    "capture_time",
    "warm_construct_time",
    "warm_first_token_time",
)


def _one(model: Model) -> Scenario:
    return Scenario(
        version="1",
        model=model,
        workload=Independent(requests=1, prompt=Fixed(32), output=Fixed(2)),
        load=ClosedLoop(concurrency=1),
        engine={"max_model_len": 1024},
        warmup=1,  # the first token of all is the warm-up's
    )


@suite(_one(TINY), *METRICS, target=Restarted)
class Tiny:
    """The tiny preset."""


@suite(_one(SMOLLM2), *METRICS, target=Restarted)
class Smol:
    """SmolLM2-135M, weights read from disk."""


@suite(_one(QWEN3_0_6B), *METRICS, target=Restarted)
class Qwen06:
    """Qwen3-0.6B's shape on a GPU."""


@suite(_one(QWEN3_8B), *METRICS, target=Restarted)
class Qwen8:
    """Qwen3-8B's shape on a GPU."""
