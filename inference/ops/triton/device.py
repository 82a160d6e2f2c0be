"""The properties of a device that determine a kernel's block shapes."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch
from triton import knobs

__all__ = ["DeviceShape", "device_shape"]


@dataclass(frozen=True, slots=True)
class DeviceShape:
    """The parts of a device that block shapes follow.

    Attributes:
        num_sms: Programs that run at once, at one a multiprocessor.
        shared_bytes: Shared memory one program may use.
        interpreted: Kernels run in Triton's CPU interpreter. It multiplies bfloat16 bit patterns
            as if they were integers, so operands of ``tl.dot`` are widened there.
    """

    num_sms: int
    shared_bytes: int
    interpreted: bool


@functools.cache
def device_shape(device: torch.device) -> DeviceShape:
    """Return the shape of ``device``; the interpreter's is small, so that small tests split work."""
    if knobs.runtime.interpret:
        return DeviceShape(num_sms=4, shared_bytes=16 * 1024, interpreted=True)
    properties = torch.cuda.get_device_properties(device)
    return DeviceShape(
        num_sms=properties.multi_processor_count,
        shared_bytes=properties.shared_memory_per_block_optin,
        interpreted=False,
    )
