"""RMSNorm as one pass: a program holds a whole row, so each element is read once."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from inference.ops.triton.layout import require_contiguous

__all__ = ["add_rms_norm", "rms_norm"]


def rms_norm(x: Tensor, weight: Tensor, *, eps: float) -> Tensor:
    """As ``inference.ops.norm.rms_norm``."""
    require_contiguous("rms_norm", x=x, weight=weight)
    normed = torch.empty_like(x)
    _launch(x, None, weight, normed, None, eps)
    return normed


def add_rms_norm(
    x: Tensor, residual: Tensor, weight: Tensor, *, eps: float
) -> tuple[Tensor, Tensor]:
    """As ``inference.ops.norm.add_rms_norm``."""
    require_contiguous("add_rms_norm", x=x, residual=residual, weight=weight)
    normed, total = torch.empty_like(x), torch.empty_like(x)
    _launch(x, residual, weight, normed, total, eps)
    return normed, total


def _launch(
    x: Tensor,
    residual: Tensor | None,
    weight: Tensor,
    normed: Tensor,
    total: Tensor | None,
    eps: float,
) -> None:
    hidden = x.shape[-1]
    rows = x.numel() // hidden
    if rows == 0:
        return
    block = triton.next_power_of_2(hidden)
    _rms_norm[(rows,)](
        x,
        residual,
        weight,
        normed,
        total,
        hidden,
        eps,
        BLOCK=block,
        # 16 elements a thread: two loads of 16 bytes in flight from each input.
        num_warps=min(max(block // 512, 1), 16),
    )


@triton.jit
def _rms_norm(
    x_ptr,  # [rows, hidden]
    residual_ptr,  # [rows, hidden] or None
    weight_ptr,  # [hidden]
    normed_ptr,  # [rows, hidden]
    total_ptr,  # [rows, hidden]; None with residual_ptr
    hidden,
    eps,
    BLOCK: tl.constexpr,
):
    start = tl.program_id(0).to(tl.int64) * hidden
    at = tl.arange(0, BLOCK)
    within = at < hidden
    x = tl.load(x_ptr + start + at, mask=within, other=0.0)
    if residual_ptr is not None:
        residual = tl.load(residual_ptr + start + at, mask=within, other=0.0)
        # Rounded to the stream's dtype before the norm, as in the reference.
        x = (x.to(tl.float32) + residual.to(tl.float32)).to(x.dtype)
        tl.store(total_ptr + start + at, x, mask=within)
    wide = x.to(tl.float32)
    scale = tl.rsqrt(tl.sum(wide * wide, axis=0) / hidden + eps)
    weight = tl.load(weight_ptr + at, mask=within, other=0.0)
    normed = (wide * scale).to(x.dtype).to(tl.float32) * weight.to(tl.float32)
    tl.store(normed_ptr + start + at, normed.to(x.dtype), mask=within)
