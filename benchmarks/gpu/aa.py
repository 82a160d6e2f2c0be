"""Launches of one commit against itself: the noise that a comparison on this machine has to beat."""

from __future__ import annotations

from typing import Any

from benchmarks.gpu.context import Context
from benchmarks.gpu.records import GpuMeasurement
from benchmarks.gpu.suites import run_class

__all__ = ["cases", "run"]

SUITES = {"cuda": "bench_serving.Qwen06C32", "cpu": "bench_counters.TinyShared"}
LAUNCHES = {"cuda": 30, "cpu": 2}


def cases(device: str) -> list[str]:
    """Return one case a launch."""
    return [f"launch {number:02d}" for number in range(1, LAUNCHES[device] + 1)]


def run(case: str, context: Context) -> tuple[list[GpuMeasurement], dict[str, Any]]:
    """Return what the launch measured, under the suite's own names: one more sample of each."""
    return run_class(SUITES[context.device]), {}
