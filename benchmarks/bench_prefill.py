"""Prefill: prompts of one length, one at a time, one token out of each."""

from __future__ import annotations

from typing import Any

from benchmarks.engine.in_process import suite
from benchmarks.engine.models import QWEN3_0_6B, QWEN3_8B, SMOLLM2, TINY
from benchmarks.engine.sizes import SMOL_ENGINE, TINY_ENGINE
from tracker.load import utilization
from tracker.load.lengths import Fixed
from tracker.load.scenario import ClosedLoop, Independent, Model, Scenario

METRICS = (
    "ttft_p50",
    "ttft_p95",
    "prefill_throughput",
    "error_rate",
    "steps",
    "prefill_tokens",
    "op_calls_per_step",
    *utilization.NAMES,
)
ON_GPU = (*METRICS, *utilization.ON_GPU)


def _prefill(model: Model, prompt: int, requests: int, **more: Any) -> Scenario:
    return Scenario(
        version="1",
        model=model,
        workload=Independent(requests=requests, prompt=Fixed(prompt), output=Fixed(1)),
        load=ClosedLoop(concurrency=1),
        **more,
    )


@suite(_prefill(TINY, 128, 240, engine=TINY_ENGINE), *METRICS)
class TinyP128:
    """The tiny preset, prompts of 128 tokens."""


@suite(_prefill(TINY, 512, 64, engine=TINY_ENGINE), *METRICS)
class TinyP512:
    """The tiny preset, prompts of 512 tokens."""


@suite(
    Scenario(
        version="1",
        model=SMOLLM2,
        workload=Independent(requests=6, prompt=Fixed(48), output=Fixed(1), text=True),
        load=ClosedLoop(concurrency=1),
        engine=SMOL_ENGINE,
        warmup=1,
    ),
    *METRICS,
)
class SmolText:
    """SmolLM2-135M, English prompts of 48 words, tokenization included."""


@suite(_prefill(QWEN3_0_6B, 1024, 200), *ON_GPU)
class Qwen06P1024:
    """Qwen3-0.6B's shape on a GPU, prompts of 1,024 tokens."""


@suite(_prefill(QWEN3_8B, 1024, 100), *ON_GPU)
class Qwen8P1024:
    """Qwen3-8B's shape on a GPU, prompts of 1,024 tokens."""
