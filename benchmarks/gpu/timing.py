"""Seconds of device work, by events on a GPU and by the clock on a CPU."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

__all__ = ["device_seconds", "wait"]


def device_seconds(work: Callable[[], Any], device: str, repeats: int) -> float:
    """Return the median seconds of ``work`` after three calls that do not count."""
    for _ in range(3):
        work()
    timed = _on_gpu if device == "cuda" else _on_cpu
    return median(timed(work) for _ in range(repeats))


def wait(device: str) -> None:
    """Return when the device has done all it was given."""
    if device == "cuda":
        import torch

        torch.cuda.synchronize()


def _on_gpu(work: Callable[[], Any]) -> float:
    import torch

    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    work()
    end.record()
    end.synchronize()
    return float(start.elapsed_time(end)) / 1e3


def _on_cpu(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
