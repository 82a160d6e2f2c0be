"""The control workload (`tracker.load.control`) on the device that an engine's load runs on.

It must depend on nothing of the engine: it calls torch alone, on one thread, on buffers of its own
that are given back before the clock of the load starts; after the load it runs when the engine is
closed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.engine.timer import timer_of
from tracker.load.control import count, interleaved_medians

__all__ = ["CPU", "CUDA", "Size", "control_of"]


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
            "python": count,
        }
        timers = {"gemm": timer_of(device), "copy": timer_of(device), "python": timer_of("cpu")}
        return interleaved_medians(work, timers, size.rounds)
    finally:
        torch.set_num_threads(threads)
