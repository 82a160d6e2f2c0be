"""Which of several programs is the last: that one adds up what all have left in a workspace.

It saves the launch of a second kernel, and adds in a fixed order, so that results repeat.
"""

from __future__ import annotations

import functools

import torch
import triton
import triton.language as tl
from torch import Tensor

from inference.ops.triton.device import device_shape

__all__ = ["arrival_counters", "is_last", "num_splits"]

_MOST_RESIDENT = 8  # programs of a kernel that splits its work on one multiprocessor


@functools.cache
def arrival_counters(device: torch.device) -> Tensor:
    """Return zeros, int32, one for each group of programs that splits its work.

    Shared by every kernel of the device: each leaves them zero again, and kernels of one stream
    follow one another. Kept for good, so that a CUDA graph may hold their address.
    """
    count = _MOST_RESIDENT * device_shape(device).num_sms
    return torch.zeros(count, dtype=torch.int32, device=device)


def num_splits(groups: int, most: int, resident: int, device: torch.device) -> int:
    """Return into how many programs to split each of ``groups``, so that the device is full.

    All programs then run at once: a few that come after the others would leave it nearly idle.

    Args:
        groups: Programs without a split, >= 1.
        most: More splits than this have too little to do.
        resident: Programs that a multiprocessor runs at once.
        device: Where they run.
    """
    at_once = min(resident, _MOST_RESIDENT) * device_shape(device).num_sms
    return max(1, min(at_once // groups, most))


@triton.jit
def is_last(counter_ptr, count):
    """Return whether this is the last of ``count`` programs to get here; resets the counter.

    What the others stored before they came is visible to the last one after.
    """
    tl.debug_barrier()  # every thread of this program has stored
    arrived = tl.atomic_add(counter_ptr, 1, sem="acq_rel", scope="gpu")
    tl.debug_barrier()
    last = arrived == count - 1
    if last:
        tl.store(counter_ptr, 0)
    return last
