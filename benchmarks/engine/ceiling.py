"""What this device reaches at most: bytes read and FLOPs per second, measured in the same launch."""

from __future__ import annotations

from pathlib import Path

from benchmarks.engine.timer import timer_of
from tracker.load.utilization import Ceiling, Ticks

__all__ = ["device_memory", "largest_cache", "measure_ceiling", "processor_ticks"]

CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
LEAST_READ = 128 << 20  # bytes
ROUNDS = 5
EDGE = {"cpu": 512, "cuda": 4096}


def measure_ceiling(device: str, dtype: str) -> Ceiling:
    """Return the fastest of a few reads and matrix products, on the threads that torch has now.

    Args:
        device: ``"cpu"`` or ``"cuda"``.
        dtype: Of the engine, a name in torch.

    Cost:
        0.2 to 0.4 s on one core, and the memory read: twice the largest cache, at least 128 MiB.
    """
    import torch

    edge = EDGE[device]
    size = max(LEAST_READ, 2 * (_cuda_cache() if device == "cuda" else largest_cache()))
    memory = torch.ones(size // 4, dtype=torch.float32, device=device)
    left = torch.ones((edge, edge), dtype=getattr(torch, dtype), device=device)
    product = torch.empty_like(left)
    timer = timer_of(device)

    def fastest(act: object) -> float:
        return min(timer(act) for _ in range(ROUNDS + 1))  # type: ignore[arg-type]

    return Ceiling(
        bandwidth=memory.numel() * 4 / fastest(lambda: memory.sum()),
        flops=2 * edge**3 / fastest(lambda: torch.mm(left, left, out=product)),
    )


def largest_cache(caches: Path = CACHES) -> int:
    """Return the size of the processor's largest cache, bytes; 0 where the kernel does not say."""
    sizes = [path.read_text(encoding="ascii").strip() for path in caches.glob("index*/size")]
    units = {"K": 1 << 10, "M": 1 << 20}
    return max((int(size[:-1]) * units[size[-1]] for size in sizes), default=0)


def device_memory(device: str) -> int | None:
    """Return the GPU's memory, bytes; None on a CPU."""
    if device != "cuda":
        return None
    import torch

    return int(torch.cuda.get_device_properties(0).total_memory)


def processor_ticks(stat: Path = Path("/proc/stat")) -> Ticks | None:
    """Return the machine's (stolen, all) processor ticks since it started; None: unknown."""
    try:
        name, *fields = stat.read_text(encoding="ascii").splitlines()[0].split()
    except (OSError, IndexError, ValueError):
        return None
    if name != "cpu" or len(fields) < 8:
        return None
    ticks = [int(field) for field in fields[:8]]  # user to steal; guest time is part of user
    return ticks[7], sum(ticks)


def _cuda_cache() -> int:
    import torch

    return int(torch.cuda.get_device_properties(0).L2_cache_size)
