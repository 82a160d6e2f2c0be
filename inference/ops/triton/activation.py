"""The gated activation of a packed tensor, without splitting it into two tensors."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from inference.ops.triton.layout import require_contiguous

__all__ = ["silu", "silu_mul"]

_BLOCK = 1024  # 8 elements a thread of 4 warps: one load of 16 bytes from each half


def silu_mul(gate_up: Tensor) -> Tensor:
    """As ``inference.ops.activation.silu_mul``."""
    require_contiguous("silu_mul", gate_up=gate_up)
    tokens, width = gate_up.shape[0], gate_up.shape[1] // 2
    out = torch.empty((tokens, width), dtype=gate_up.dtype, device=gate_up.device)
    if out.numel():
        _silu_mul[(tokens, triton.cdiv(width, _BLOCK))](gate_up, out, width, BLOCK=_BLOCK)
    return out


@triton.jit
def silu(x):
    """Return ``x·sigmoid(x)`` of a float32 tile."""
    return x / (1.0 + tl.exp(-x))


@triton.jit
def _silu_mul(
    gate_up_ptr,  # [tokens, 2·width]
    out_ptr,  # [tokens, width]
    width,
    BLOCK: tl.constexpr,
):
    token = tl.program_id(0).to(tl.int64)
    at = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    within = at < width
    gate = tl.load(gate_up_ptr + token * 2 * width + at, mask=within)
    up = tl.load(gate_up_ptr + token * 2 * width + width + at, mask=within)
    # Rounded between the two steps, as in the reference.
    gated = silu(gate.to(tl.float32)).to(gate.dtype).to(tl.float32)
    tl.store(out_ptr + token * width + at, (gated * up.to(tl.float32)).to(gate.dtype), mask=within)
