"""What a serving team asks, on this device: the frontier, capacity, documents, arrivals, stalls, cancellations."""

from __future__ import annotations

from typing import Any

from benchmarks.gpu.context import Context
from benchmarks.gpu.records import GpuMeasurement
from benchmarks.gpu.suites import TEAM, is_for, run_class, suite_classes

__all__ = ["LIMIT", "cases", "run"]

LIMIT = 300.0  # seconds of the part; a second run does what is left
TOYS = ("bench_team.CancelledTiny", "bench_team.StallsTiny")


def cases(device: str) -> list[str]:
    """Return the classes of `bench_sweep` and `bench_team` whose scenarios run on ``device``."""
    if device == "cpu":
        return list(TOYS)
    return [
        name
        for name, cls in suite_classes().items()
        if name.partition(".")[0] in TEAM and is_for(cls, device)
    ]


def run(case: str, context: Context) -> tuple[list[GpuMeasurement], dict[str, Any]]:
    """Return what one launch of the class measured."""
    return run_class(case), {}
