"""A fixed workload that no commit touches: when its time moves, the node moved.

Run just before and just after the timed part of a launch, so that whoever compares two launches can
tell a slower commit from a slower machine. It must depend on nothing of the engine: it calls torch
alone, on one thread, on buffers of its own that are given back before the clock of the load starts;
after the load it runs when the engine is closed.

Its parts are slowed by different neighbours: arithmetic, memory, and the interpreter, which another
process on the same core's second thread slows most.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks.engine.timer import timer_of

__all__ = ["CPU", "CUDA", "Size", "control_metrics", "control_of"]


@dataclass(frozen=True, slots=True)
class Size:
    """How much the control does.

    Args:
        edge: Of the square matrices multiplied.
        copied: Bytes copied at a time, beyond the caches nearest to the cores.
        rounds: Products and copies timed; their medians count.
        dtype: Of the matrices, a name in torch.
    """

    edge: int
    copied: int
    rounds: int
    dtype: str


# Changed sizes are other times: launches measured with the old ones compare with none of the new.
CPU = Size(edge=384, copied=8 << 20, rounds=16, dtype="float32")
_COUNTED = 5_000
CUDA = Size(edge=4096, copied=128 << 20, rounds=24, dtype="bfloat16")


def control_of(device: str, size: Size | None = None) -> dict[str, float]:
    """Return the seconds that one product, one copy and one stretch of Python take now.

    By name ``gemm``, ``copy`` and ``python``; the last on the host, whatever the device.

    Medians over interleaved rounds: a single round that something interrupted does not count.

    Args:
        device: ``"cpu"`` or ``"cuda"``.
        size: How much to do; else `CPU` or `CUDA`.

    Cost:
        About 0.1 s on a core of 100 GFLOP/s and 10 GB/s.
    """
    import torch

    cuda = device == "cuda"
    size = size or (CUDA if cuda else CPU)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        made = {"device": device, "dtype": getattr(torch, size.dtype)}
        left = torch.ones((size.edge, size.edge), **made)
        product = torch.empty_like(left)
        source = torch.ones(size.copied, dtype=torch.uint8, device=device)
        target = torch.empty_like(source)
        work: dict[str, Callable[[], Any]] = {
            "gemm": lambda: torch.mm(left, left, out=product),
            "copy": lambda: target.copy_(source),
            "python": _count,
        }
        timers = {"gemm": timer_of(device), "copy": timer_of(device), "python": timer_of("cpu")}
        for name, act in work.items():
            timers[name](act)  # pages, kernels and clocks wake up outside the count
        seconds: dict[str, list[float]] = {name: [] for name in work}
        for _ in range(size.rounds):
            for name, act in work.items():
                seconds[name].append(timers[name](act))
        return {name: median(times) for name, times in seconds.items()}
    finally:
        torch.set_num_threads(threads)


def _count() -> None:
    """Keep the interpreter busy for about half a millisecond."""
    counts: dict[int, int] = {}
    for number in range(_COUNTED):
        counts[number & 255] = counts.get(number & 255, 0) + number


def control_metrics(before: dict[str, float], after: dict[str, float]) -> dict[str, float | None]:
    """Return the control's times as a launch's metrics: the mean of before and after, s."""
    return {f"control_{name}": (before[name] + after[name]) / 2 for name in before}
