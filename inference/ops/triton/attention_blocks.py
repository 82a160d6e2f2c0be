"""Block shapes of attention, chosen for the device and the step."""

from __future__ import annotations

from dataclasses import dataclass

import triton

from inference.ops.triton.device import DeviceShape

__all__ = ["LEAST_TILE", "STAGES", "Blocks", "choose_blocks"]

LEAST_TILE = 16  # of a tensor core
STAGES = 2  # tiles of K and V in flight


@dataclass(frozen=True, slots=True)
class Blocks:
    """Block shapes: ``rows`` of q (``queries`` × group, and padding) against ``context`` of KV.

    ``resident`` programs of ``warps`` are what a multiprocessor's registers hold.
    """

    queries: int
    rows: int
    context: int
    warps: int
    resident: int


def choose_blocks(
    *, group: int, queries: int, dim: int, itemsize: int, shape: DeviceShape
) -> Blocks:
    """Return the shapes for a step of ``queries`` a row in the mean.

    Decode takes the least tile that holds a group, since its rows are padding; prefill takes one
    that keeps the tensor cores busy. float32, which keeps all its bits and so does without tensor
    cores, takes the least tile too: a larger one does not fit into registers. The context's tile is
    the longest of which ``STAGES`` of K and V fit into half the shared memory, so that two programs
    share a multiprocessor.
    """
    most = LEAST_TILE if itemsize == 4 else 128 if dim <= 128 else 64
    wanted = min(max(group * queries, LEAST_TILE), most)
    rows = triton.next_power_of_2(max(wanted, group))
    tile = 2 * triton.next_power_of_2(dim) * itemsize * STAGES
    context = min(max(shape.shared_bytes // 2 // tile, LEAST_TILE), 128)
    return Blocks(
        queries=rows // group,
        rows=rows,
        context=1 << (context.bit_length() - 1),
        warps=4 if rows <= 64 else 8,
        resident=4 if rows <= 32 else 1,
    )
