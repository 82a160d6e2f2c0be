"""Finds the last of several programs, which adds the partial results of all in a workspace.

It saves the launch of a second kernel, and adds in a fixed order, so that results repeat.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
import triton
import triton.language as tl
from torch import Tensor

from inference.ops.triton.device import device_shape

__all__ = ["arrival_counters", "counters_of_one_engine", "is_last", "num_splits"]

_MOST_RESIDENT = 8  # programs of a kernel that splits its work on one multiprocessor


Counters = dict[tuple[torch.device, int], Tensor]
_by_stream: Counters = {}
_of_engine: ContextVar[Counters | None] = ContextVar("_of_engine", default=None)


@contextmanager
def counters_of_one_engine(counters: Counters) -> Iterator[None]:
    """Make the kernels of this context use the engine's own ``counters``.

    Kernels that run at the same time must not share any: two engines may be on two streams. The
    kernels of one engine follow one another, those that a CUDA graph replays included, which hold
    the counters' address.
    """
    token = _of_engine.set(counters)
    try:
        yield
    finally:
        _of_engine.reset(token)


def arrival_counters(device: torch.device) -> Tensor:
    """Return zeros, int32, one for each group of programs that splits its work.

    Shared by the kernels of an engine, and outside of one by those of a stream: each leaves them
    zero again. Kept as long as the engine.
    """
    counters = _of_engine.get()
    stream = 0
    if counters is None:
        counters = _by_stream
        stream = torch.cuda.current_stream(device).cuda_stream if device.type == "cuda" else 0
    if (device, stream) not in counters:
        count = _MOST_RESIDENT * device_shape(device).num_sms
        counters[device, stream] = torch.zeros(count, dtype=torch.int32, device=device)
    return counters[device, stream]


def num_splits(groups: int, most: int, resident: int, device: torch.device) -> int:
    """Return into how many programs to split each of ``groups``, so that the device is full.

    All programs then run at once; a few later programs would leave the device nearly idle.

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

    Everything that the others stored before is visible to the last one.
    """
    tl.debug_barrier()  # every thread of this program has stored
    arrived = tl.atomic_add(counter_ptr, 1, sem="acq_rel", scope="gpu")
    tl.debug_barrier()
    last = arrived == count - 1
    if last:
        tl.store(counter_ptr, 0)
    return last
