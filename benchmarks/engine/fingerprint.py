"""What beside the code can move a number. Keys are those the tracker knows; unknown is None."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tracker.fingerprint import cpu_model, package_versions
from tracker.load.nvml import NvmlDevice, open_gpus

__all__ = ["SMALL_MACHINE", "fingerprint", "gpus_of", "pin_threads"]

SMALL_MACHINE = 4  # cores; up to here the measuring process runs on one thread


def pin_threads() -> int:
    """Pin torch to one thread on a small machine; return the threads in force.

    A second thread on two shared cores measures the neighbours. On a larger machine torch's own
    choice stays, and is recorded.
    """
    import torch

    if len(os.sched_getaffinity(0)) <= SMALL_MACHINE:
        torch.set_num_threads(1)
    return int(torch.get_num_threads())


def gpus_of(device: str) -> list[NvmlDevice]:
    """Return NVML's handles of torch's CUDA devices, in its order; none on a CPU or without NVML."""
    if device != "cuda":
        return []
    import torch

    devices = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
    return open_gpus(f"GPU-{uuid}" for d in devices if (uuid := getattr(d, "uuid", None)))


def fingerprint(device: str, gpus: Sequence[NvmlDevice], extra: dict[str, str]) -> dict[str, Any]:
    """Return the environment as JSON values.

    Args:
        device: ``"cpu"`` or ``"cuda"``; what no CPU number depends on is None on a CPU.
        gpus: The handles of those that do the work.
        extra: More names and values that must not change unseen.
    """
    import torch

    cuda = device == "cuda"
    gpu = gpus[0] if gpus else None
    versions = package_versions()
    return {
        "gpu_model": torch.cuda.get_device_name(0) if cuda else None,
        "gpu_count": torch.cuda.device_count() if cuda else None,
        "driver": gpu.driver() if gpu else None,
        "cuda": torch.version.cuda,
        "torch": torch.__version__,
        "triton": versions["triton"],
        "asv": versions["asv"],
        "asv_runner": versions["asv_runner"],
        "python": versions["python"],
        "cpu": cpu_model(),
        "num_cpu": os.cpu_count(),
        "os": f"{platform.system()} {platform.release()}",
        "threads": torch.get_num_threads(),
        "clocks_policy": gpu.clocks_policy() if gpu else _governor(),
        "extra": dict(sorted({**extra, **_named(gpus)}.items())),
    }


def _named(gpus: Sequence[NvmlDevice]) -> dict[str, str]:
    """Name the devices themselves: another one of the same model is another device."""
    return {"gpus": ", ".join(gpu.uuid for gpu in gpus)} if gpus else {}


def _governor() -> str | None:
    path = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    try:
        return f"governor {path.read_text(encoding='utf-8').strip()}"
    except OSError:
        return None
