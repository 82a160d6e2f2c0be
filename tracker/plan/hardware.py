"""GPUs by name: the datasheet's ceilings, memory and link between GPUs of one machine."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from tracker.errors import UsageError, did_you_mean
from tracker.load.datasheet import DATASHEETS
from tracker.load.utilization import Ceiling

__all__ = ["GPUS", "Gpu", "find_gpu", "gpu_named_in"]


@dataclass(frozen=True, slots=True)
class Gpu:
    """One device.

    Attributes:
        name: In lower case, with dashes: ``"h100-pcie"``.
        ceiling: The vendor's, or of a processor what a launch measured.
        memory: Bytes; None: not known.
        link: Bytes/s from one device to another, one way.
    """

    name: str
    ceiling: Ceiling
    memory: float | None
    link: float


# Bytes of memory, and bytes/s one way: half of what the vendor states for NVLink or PCIe in both.
_MEMORY_AND_LINK = {
    "H100 PCIe": (80e9, 64e9),
    "H100 NVL": (94e9, 300e9),
    "A100-PCIE-40GB": (40e9, 32e9),
    "A100-SXM4-40GB": (40e9, 300e9),
    "A100 80GB PCIe": (80e9, 32e9),
    "A100": (80e9, 300e9),
    "B200": (180e9, 900e9),
    "GH200": (96e9, 450e9),
    "H200": (141e9, 450e9),
    "H100": (80e9, 450e9),
    "L40S": (48e9, 32e9),
    "L4": (24e9, 32e9),
}

GPUS = {
    gpu.name: gpu
    for gpu in (
        Gpu(name.lower().replace(" ", "-"), ceiling, *_MEMORY_AND_LINK[name])
        for name, ceiling in DATASHEETS.items()
    )
}


def find_gpu(name: str) -> Gpu:
    """Return the GPU of that name, in any case, with spaces or dashes.

    Raises:
        UsageError: No such GPU; with the nearest known name.
    """
    wanted = "-".join(_words(name))
    if wanted not in GPUS:
        raise UsageError(f"no GPU {name!r}; {did_you_mean(wanted, GPUS)}")
    return GPUS[wanted]


def gpu_named_in(texts: Iterable[str]) -> Gpu | None:
    """Return the GPU that one of the texts names, the most exact name first; None: none does.

    Args:
        texts: ``"NVIDIA H100 80GB HBM3"``, or what people call a machine: ``"h100-node-3"``.
    """
    words = [set(_words(text)) for text in texts]
    for gpu in GPUS.values():  # as in DATASHEETS: the longer names first
        if any(set(_words(gpu.name)) <= named for named in words):
            return gpu
    return None


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", text.lower())
