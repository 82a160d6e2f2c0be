"""Matrix product for the few rows of a decode step, bound by the bytes of the weight.

cuBLAS pads the rows to tiles made for many and keeps too few bytes in flight. Here the weight is
the tall operand of the tensor core and the rows are padded to its least tile; where the output is
too narrow to fill the device, the inner dimension is split, and the last program of a group adds up
the shares in order, so that results repeat. More rows than ``MOST_ROWS`` go to cuBLAS.

The gated activation costs such a product nothing: where the tile of the gate and that of the other
half are one tile, it is done before the result leaves the registers.

A ``Matrix`` knows its own way to multiply, here as in the reference.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from inference.ops import linear as reference
from inference.ops.matrix import Weight, is_matrix
from inference.ops.triton.activation import silu, silu_mul
from inference.ops.triton.arrival import arrival_counters, is_last, num_splits
from inference.ops.triton.device import device_shape
from inference.ops.triton.dot import dot
from inference.ops.triton.layout import require_contiguous

__all__ = ["MOST_ROWS", "linear", "linear_silu_mul"]

MOST_ROWS = 16  # one tensor core tile
_BLOCK_OUT = 32
_BLOCK_IN_BYTES = 512  # of each row of the weight: whole lines of the cache, many at once
_LEAST_TILES_PER_SPLIT = 2
_STAGES = 4  # tiles in flight: 64 KiB of weight a program


def linear(x: Tensor, weight: Weight, bias: Tensor | None = None) -> Tensor:
    """As ``inference.ops.linear.linear``."""
    if is_matrix(weight):
        return reference.linear(x, weight, bias)
    require_contiguous("linear", x=x, weight=weight, bias=bias)
    if 0 < x.shape[0] <= MOST_ROWS:
        return _few_rows(x, weight, bias, gated=False)
    return F.linear(x, weight, bias)


def linear_silu_mul(x: Tensor, weight: Weight) -> Tensor:
    """As ``inference.ops.activation.linear_silu_mul``."""
    if is_matrix(weight):
        return silu_mul(reference.linear(x, weight))
    require_contiguous("linear_silu_mul", x=x, weight=weight)
    if 0 < x.shape[0] <= MOST_ROWS:
        return _few_rows(x, weight, None, gated=True)
    return silu_mul(F.linear(x, weight))


def _few_rows(x: Tensor, weight: Tensor, bias: Tensor | None, *, gated: bool) -> Tensor:
    rows, width = x.shape
    num_out = weight.shape[0] // (2 if gated else 1)
    out = torch.empty((rows, num_out), dtype=x.dtype, device=x.device)
    groups = triton.cdiv(weight.shape[0], _BLOCK_OUT)
    block_in = _BLOCK_IN_BYTES // x.element_size()
    tiles = triton.cdiv(width, block_in)
    shape = device_shape(x.device)
    # One of the stages is in registers, not in shared memory.
    shared = (_STAGES - 1) * (_BLOCK_OUT + MOST_ROWS) * _BLOCK_IN_BYTES
    resident = max(shape.shared_bytes // shared, 1)
    splits = num_splits(groups, tiles // _LEAST_TILES_PER_SPLIT, resident, x.device)
    share = triton.cdiv(tiles, splits)
    splits = triton.cdiv(tiles, share)  # none of them empty
    partial = counters = None
    if splits > 1:
        partial = torch.empty(
            (groups, splits, _BLOCK_OUT, MOST_ROWS), dtype=torch.float32, device=x.device
        )
        counters = arrival_counters(x.device)
    _linear[(groups, splits)](
        x,
        weight,
        bias,
        out,
        partial,
        counters,
        rows,
        width,
        num_out,
        share * block_in,
        BLOCK_ROWS=MOST_ROWS,
        BLOCK_OUT=_BLOCK_OUT,
        BLOCK_IN=block_in,
        GATED=gated,
        WIDEN=shape.interpreted,
        num_warps=4,
        num_stages=_STAGES,
    )
    return out


@triton.jit
def _linear(
    x_ptr,  # [rows, width]
    weight_ptr,  # [num_out, width]; twice the rows with GATED, the gate's first
    bias_ptr,  # [num_out] or None
    out_ptr,  # [rows, num_out]
    partial_ptr,  # [groups, splits, BLOCK_OUT, BLOCK_ROWS]; None where nothing is split
    counters_ptr,  # [groups]
    rows,
    width,
    num_out,
    share,  # of the width that a split takes
    BLOCK_ROWS: tl.constexpr,
    BLOCK_OUT: tl.constexpr,
    BLOCK_IN: tl.constexpr,
    GATED: tl.constexpr,
    WIDEN: tl.constexpr,
):
    group, split = tl.program_id(0), tl.program_id(1)
    row = tl.arange(0, BLOCK_ROWS)
    at = tl.arange(0, BLOCK_IN)
    tile_row = tl.arange(0, BLOCK_OUT)
    out = group * BLOCK_OUT + tile_row
    weight_row = out
    if GATED:  # each row of the gate stands beside its row of the other half
        out = out // 2
        weight_row = out + tile_row % 2 * num_out
    weight_start = weight_ptr + weight_row.to(tl.int64)[:, None] * width
    acc = tl.zeros([BLOCK_OUT, BLOCK_ROWS], tl.float32)
    for start in range(split * share, tl.minimum(split * share + share, width), BLOCK_IN):
        i = start + at
        # Read once in a step: not worth a place in the cache.
        weight = tl.load(
            weight_start + i[None, :],
            mask=(out < num_out)[:, None] & (i < width)[None, :],
            other=0.0,
            eviction_policy="evict_first",
        )
        x = tl.load(
            x_ptr + row[None, :] * width + i[:, None],
            mask=(row < rows)[None, :] & (i < width)[:, None],
            other=0.0,
        )
        acc += dot(weight, x, WIDEN)
    if partial_ptr is not None:
        splits = tl.num_programs(1)
        kept = tile_row[:, None] * BLOCK_ROWS + row[None, :]
        first = partial_ptr + group * splits * BLOCK_OUT * BLOCK_ROWS + kept
        tl.store(first + split * BLOCK_OUT * BLOCK_ROWS, acc)
        if not is_last(counters_ptr + group, splits):
            return
        acc = tl.zeros([BLOCK_OUT, BLOCK_ROWS], tl.float32)
        for other in range(splits):
            acc += tl.load(first + other * BLOCK_OUT * BLOCK_ROWS)
    if bias_ptr is not None:
        acc += tl.load(bias_ptr + out, mask=out < num_out, other=0.0).to(tl.float32)[:, None]
    if GATED:
        pairs = tl.reshape(acc, [BLOCK_OUT // 2, 2, BLOCK_ROWS])
        gate, up = tl.split(tl.permute(pairs, [0, 2, 1]))
        acc = silu(gate) * up
        out = group * (BLOCK_OUT // 2) + tl.arange(0, BLOCK_OUT // 2)
    tl.store(
        out_ptr + row[None, :] * num_out + out[:, None],
        acc.to(x_ptr.dtype.element_ty),
        mask=(row < rows)[None, :] & (out < num_out)[:, None],
    )
