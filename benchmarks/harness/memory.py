"""How much memory a launch took at its peak."""

from __future__ import annotations

from pathlib import Path

__all__ = ["peak_cuda_memory", "peak_rss"]


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
