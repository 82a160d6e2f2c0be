"""Seconds of device work."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from typing import Any

from benchmarks.engine.timer import timer_of

__all__ = ["device_seconds", "wait"]


def device_seconds(work: Callable[[], Any], device: str, repeats: int) -> float:
    """Return the median seconds of ``work`` after three calls that do not count."""
    for _ in range(3):
        work()
    timed = timer_of(device)
    return median(timed(work) for _ in range(repeats))


def wait(device: str) -> None:
    """Return when the device has done all it was given."""
    if device == "cuda":
        import torch

        torch.cuda.synchronize()
