"""What the device is, and what it reaches on the simplest work: the ceilings of every other part."""

from __future__ import annotations

from typing import Any

from benchmarks.engine.fingerprint import fingerprint, gpus_of
from benchmarks.gpu.context import COPY, MATMUL, Context
from benchmarks.gpu.records import GpuMeasurement
from benchmarks.gpu.timing import device_seconds

__all__ = ["cases", "run"]

# Copied far beyond the largest L2 (60 MB on an H200), multiplied far beyond the launch overhead.
SIZES = {"cuda": (4 << 30, 8192, 20), "cpu": (16 << 20, 256, 3)}


def cases(device: str) -> list[str]:
    """Return the part's one case."""
    return ["device"]


def run(case: str, context: Context) -> tuple[list[GpuMeasurement], dict[str, Any]]:
    """Return the two ceilings, and the facts."""
    import torch

    device = context.device
    copied, edge, repeats = SIZES[device]
    source = torch.randint(0, 255, (copied,), dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    copy = 2 * copied / device_seconds(lambda: target.copy_(source), device, repeats)
    # Random, not ones: a product of constants draws less power and runs at a higher clock.
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    left, right = (torch.randn(edge, edge, dtype=dtype, device=device) for _ in range(2))
    matmul = 2 * edge**3 / device_seconds(lambda: left @ right, device, repeats)
    measured = [
        GpuMeasurement(COPY, copy, "bytes/s", "higher", "rate"),
        GpuMeasurement(MATMUL, matmul, "FLOP/s", "higher", "rate"),
    ]
    return measured, _facts(device)


def _facts(device: str) -> dict[str, Any]:
    import torch

    gpus = gpus_of(device)
    try:
        facts = fingerprint(device, gpus, {})
    finally:
        for gpu in gpus:
            gpu.close()
    facts["transformers"] = _transformers()
    if device == "cuda":
        properties = torch.cuda.get_device_properties(0)
        facts |= {
            "compute_capability": f"{properties.major}.{properties.minor}",
            "multiprocessors": properties.multi_processor_count,
            "memory_bytes": properties.total_memory,
            "l2_bytes": getattr(properties, "L2_cache_size", None),
        }
    return facts


def _transformers() -> str | None:
    try:
        import transformers
    except ImportError:
        return None
    return str(transformers.__version__)
