"""How the KV cache stores the key or value of one head and token: as it is, or in 8 bits with a scale.

In 8 bits a row of the cache is ``head_dim`` numbers and the four bytes of their float32 scale, so that a
cache is one tensor, and whoever moves blocks moves the scales along.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["SCALE_BYTES", "decode", "encode", "row_width", "store"]

SCALE_BYTES = 4


def row_width(head_dim: int, dtype: torch.dtype) -> int:
    """Return the elements of a row in a cache of a dtype."""
    return head_dim + SCALE_BYTES if dtype.itemsize == 1 else head_dim


def encode(x: Tensor, dtype: torch.dtype) -> Tensor:
    """Return rows for a cache in 8 bits.

    Args:
        x: ``[..., head_dim]``, ``head_dim`` a multiple of 4.
        dtype: int8 or float8_e4m3fn.

    Returns:
        ``[..., head_dim + 4]``, of the dtype. A row that holds a number that is not finite decodes to
        such numbers alone.

    Source:
        Per token and head, as Hooper et al. 2024, arXiv:2401.18079, do it for values.
    """
    most = 127.0 if dtype is torch.int8 else torch.finfo(dtype).max
    wide = x.float()
    scale = wide.abs().amax(-1, keepdim=True).div_(most).clamp_(min=1e-30)
    values = wide / scale
    rows = torch.empty((*x.shape[:-1], x.shape[-1] + SCALE_BYTES), dtype=dtype, device=x.device)
    rows[..., : x.shape[-1]] = (values.round_() if dtype is torch.int8 else values).to(dtype)
    rows.view(torch.int8)[..., x.shape[-1] :] = scale.view(torch.int8)
    return rows


def decode(rows: Tensor, dtype: torch.dtype) -> Tensor:
    """Return what rows in 8 bits stand for, ``[..., head_dim]``, of the dtype."""
    width = rows.shape[-1] - SCALE_BYTES
    scale = rows.view(torch.int8)[..., width:].view(torch.float32)
    return (rows[..., :width].float() * scale).to(dtype)


def store(cache: Tensor, slots: Tensor, x: Tensor) -> None:
    """Write keys or values to their slots.

    Args:
        cache: ``[blocks, block_size, kv_heads, row]``, contiguous; **written**.
        slots: ``[T]`` int64.
        x: ``[T, kv_heads, head_dim]``.
    """
    rows = x
    if cache.dtype.itemsize == 1:
        rows, cache = encode(x, cache.dtype).view(torch.int8), cache.view(torch.int8)
    cache.view(-1, *cache.shape[2:]).index_copy_(0, slots, rows)
