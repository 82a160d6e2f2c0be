"""Product of a few rows with a matrix in 8 bits, widened in registers as it arrives.

As ``skinny``: the weight is the tall operand of the tensor core. The scale of an output is applied
once, to its sum.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from inference.ops.triton.device import device_shape
from inference.ops.triton.dot import dot
from inference.ops.triton.layout import require_contiguous

__all__ = ["MOST_ROWS", "scaled_linear"]

MOST_ROWS = 16  # one tensor core tile
_BLOCK_OUT = 32
_BLOCK_IN = 256  # bytes of each row of the weight: two lines of the cache


def scaled_linear(x: Tensor, values: Tensor, scales: Tensor) -> Tensor:
    """Return ``(x @ values.T) * scales``.

    Args:
        x: ``[T, in]``, T at most ``MOST_ROWS``.
        values: ``[out, in]``, int8 or float8_e4m3fn.
        scales: ``[out]``, float32.

    Cost:
        Reads out·in bytes; 2·T·in·out FLOPs.
    """
    require_contiguous("scaled_linear", x=x, values=values, scales=scales)
    rows, width = x.shape
    num_out = len(values)
    out = torch.empty((rows, num_out), dtype=x.dtype, device=x.device)
    _scaled[(triton.cdiv(num_out, _BLOCK_OUT),)](
        x,
        values,
        scales,
        out,
        rows,
        width,
        num_out,
        BLOCK_ROWS=MOST_ROWS,
        BLOCK_OUT=_BLOCK_OUT,
        BLOCK_IN=_BLOCK_IN,
        WIDEN=device_shape(x.device).interpreted,
        num_warps=4,
        num_stages=4,
    )
    return out


@triton.jit
def _scaled(
    x_ptr,  # [rows, width]
    values_ptr,  # [num_out, width]
    scales_ptr,  # [num_out]
    out_ptr,  # [rows, num_out]
    rows,
    width,
    num_out,
    BLOCK_ROWS: tl.constexpr,
    BLOCK_OUT: tl.constexpr,
    BLOCK_IN: tl.constexpr,
    WIDEN: tl.constexpr,
):
    row = tl.arange(0, BLOCK_ROWS)
    at = tl.arange(0, BLOCK_IN)
    out = tl.program_id(0) * BLOCK_OUT + tl.arange(0, BLOCK_OUT)
    start_of_row = values_ptr + out.to(tl.int64)[:, None] * width
    acc = tl.zeros([BLOCK_OUT, BLOCK_ROWS], tl.float32)
    for start in range(0, width, BLOCK_IN):
        i = start + at
        # Read once in a step: not worth a place in the cache.
        values = tl.load(
            start_of_row + i[None, :],
            mask=(out < num_out)[:, None] & (i < width)[None, :],
            other=0.0,
            eviction_policy="evict_first",
        )
        x = tl.load(
            x_ptr + row[None, :] * width + i[:, None],
            mask=(row < rows)[None, :] & (i < width)[:, None],
            other=0.0,
        )
        # Exact in any dtype; by way of float32, since the interpreter casts int8 to bfloat16 wrong.
        acc += dot(values.to(tl.float32).to(x.dtype), x, WIDEN)
    scale = tl.load(scales_ptr + out, mask=out < num_out, other=0.0)
    tl.store(
        out_ptr + row[None, :] * num_out + out[:, None],
        (acc * scale[:, None]).to(x_ptr.dtype.element_ty),
        mask=(row < rows)[None, :] & (out < num_out)[:, None],
    )
