"""How much memory a launch took at its peak."""

from __future__ import annotations

import contextlib
from pathlib import Path

__all__ = ["forget_peaks", "peak_cuda_memory", "peak_rss"]


def peak_rss(status: Path = Path("/proc/self/status")) -> int | None:
    """Return the process's peak resident memory, bytes; None where the kernel does not say.

    Out of ``VmHWM``, which begins anew with the process; ``getrusage`` hands a parent's peak on.
    """
    try:
        lines = status.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    for line in lines:
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return None


def peak_cuda_memory(device: str) -> int | None:
    """Return the most bytes that torch's CUDA allocator held at once; None on a CPU."""
    if device != "cuda":
        return None
    import torch

    return int(torch.cuda.max_memory_allocated())


def forget_peaks(device: str, clear_refs: Path = Path("/proc/self/clear_refs")) -> None:
    """Begin both peaks anew: what was held until now and is given back counts no more.

    A kernel that does not allow it leaves the resident peak as it is.
    """
    with contextlib.suppress(OSError):
        clear_refs.write_text("5", encoding="ascii")  # proc(5): reset the peak resident set size
    if device == "cuda":
        import torch

        torch.cuda.reset_peak_memory_stats()
