"""Seconds of one act: by events on a GPU, by the clock on a CPU."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

__all__ = ["Timer", "timer_of"]

Timer = Callable[[Callable[[], Any]], float]


def timer_of(device: str) -> Timer:
    """Return what times an act on ``"cuda"`` or ``"cpu"``; it returns when the act is done."""
    return _on_device if device == "cuda" else _on_host


def _on_host(act: Callable[[], Any]) -> float:
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


def _on_device(act: Callable[[], Any]) -> float:
    import torch

    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    act()
    end.record()
    end.synchronize()
    return float(start.elapsed_time(end)) / 1000
