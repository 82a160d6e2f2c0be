"""q/k-norm, rotation and the paged KV store in one launch: q, k and v are read once."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from inference.ops.triton.layout import require_contiguous

__all__ = ["rope_store"]

_HEADS_PER_PROGRAM = 16  # of 128 channels: 2,048 elements for 4 warps, 16 each


def rope_store(
    qkv: Tensor,
    cos: Tensor,
    sin: Tensor,
    slots: Tensor,
    k_cache: Tensor,
    v_cache: Tensor,
    q_norm: Tensor | None,
    k_norm: Tensor | None,
    *,
    eps: float,
) -> Tensor:
    """As ``inference.ops.rope.rope_store``; a token of negative slot is stored nowhere."""
    require_contiguous(
        "rope_store",
        qkv=qkv,
        cos=cos,
        sin=sin,
        slots=slots,
        k_cache=k_cache,
        v_cache=v_cache,
        q_norm=q_norm,
        k_norm=k_norm,
    )
    if (q_norm is None) != (k_norm is None):
        raise ValueError("rope_store: give q_norm and k_norm, or neither")
    kv_heads, width = k_cache.shape[-2:]
    dim = 2 * cos.shape[-1]
    in_8_bits = k_cache.element_size() == 1
    tokens = qkv.shape[0]
    all_heads = qkv.shape[1] // dim
    heads = all_heads - 2 * kv_heads
    q = torch.empty((tokens, heads, dim), dtype=qkv.dtype, device=qkv.device)
    if tokens:
        _rope_store[(tokens, triton.cdiv(all_heads, _HEADS_PER_PROGRAM))](
            qkv,
            cos,
            sin,
            slots,
            k_cache,
            v_cache,
            q_norm,
            k_norm,
            q,
            k_cache.view(torch.float32) if in_8_bits else None,
            v_cache.view(torch.float32) if in_8_bits else None,
            eps,
            HEADS=heads,
            KV_HEADS=kv_heads,
            HALF=dim // 2,
            ROW=width,
            MOST=127.0 if k_cache.dtype is torch.int8 else 448.0,
            INTEGERS=k_cache.dtype is torch.int8,
            BLOCK_HEADS=_HEADS_PER_PROGRAM,
            BLOCK_HALF=triton.next_power_of_2(dim // 2),
        )
    return q


@triton.jit
def _rope_store(
    qkv_ptr,  # [tokens, HEADS + 2·KV_HEADS, 2·HALF]
    cos_ptr,  # [tokens, HALF]
    sin_ptr,
    slots_ptr,  # [tokens]
    k_cache_ptr,  # [slots, KV_HEADS, ROW]
    v_cache_ptr,
    q_norm_ptr,  # [2·HALF] or None
    k_norm_ptr,  # None with q_norm_ptr
    q_ptr,  # [tokens, HEADS, 2·HALF]
    k_scales_ptr,  # k_cache as float32, where a scale ends each row; None of a cache not in 8 bits
    v_scales_ptr,
    eps,
    HEADS: tl.constexpr,
    KV_HEADS: tl.constexpr,
    HALF: tl.constexpr,
    ROW: tl.constexpr,
    MOST: tl.constexpr,
    INTEGERS: tl.constexpr,
    BLOCK_HEADS: tl.constexpr,
    BLOCK_HALF: tl.constexpr,
):
    token = tl.program_id(0).to(tl.int64)
    slot = tl.load(slots_ptr + token).to(tl.int64)
    head = tl.program_id(1) * BLOCK_HEADS + tl.arange(0, BLOCK_HEADS)[:, None]
    at = tl.arange(0, BLOCK_HALF)[None, :]
    channel = at < HALF
    is_q = head < HEADS
    is_k = (head >= HEADS) & (head < HEADS + KV_HEADS)
    is_v = (head >= HEADS + KV_HEADS) & (head < HEADS + 2 * KV_HEADS)

    # Each pair (x[i], x[i + HALF]) turns by the i-th angle, so the halves are loaded apart.
    read = qkv_ptr + (token * (HEADS + 2 * KV_HEADS) + head) * 2 * HALF + at
    loaded = (is_q | is_k | is_v) & channel
    raw_left = tl.load(read, mask=loaded, other=0.0)
    raw_right = tl.load(read + HALF, mask=loaded, other=0.0)
    left, right = raw_left.to(tl.float32), raw_right.to(tl.float32)
    if q_norm_ptr is not None:
        squares = tl.sum(left * left, axis=1) + tl.sum(right * right, axis=1)
        scale = tl.rsqrt(squares / (2 * HALF) + eps)[:, None]
        weight_left = _weight(q_norm_ptr + at, k_norm_ptr + at, is_q, channel)
        weight_right = _weight(q_norm_ptr + HALF + at, k_norm_ptr + HALF + at, is_q, channel)
        dtype: tl.constexpr = qkv_ptr.dtype.element_ty
        # Rounded before the weight and after it, as in the reference. What is of v stays unused.
        left = ((left * scale).to(dtype).to(tl.float32) * weight_left).to(dtype).to(tl.float32)
        right = ((right * scale).to(dtype).to(tl.float32) * weight_right).to(dtype).to(tl.float32)
    cos = tl.load(cos_ptr + token * HALF + at, mask=channel, other=0.0)
    sin = tl.load(sin_ptr + token * HALF + at, mask=channel, other=0.0)
    new_left = (left * cos - right * sin).to(raw_left.dtype)
    new_right = (right * cos + left * sin).to(raw_left.dtype)

    write_q = q_ptr + (token * HEADS + head) * 2 * HALF + at
    tl.store(write_q, new_left, mask=is_q & channel)
    tl.store(write_q + HALF, new_right, mask=is_q & channel)
    if slot >= 0:  # a padding lane of a CUDA graph has no slot
        k_row = slot * KV_HEADS + head - HEADS
        v_row = k_row - KV_HEADS
        if k_scales_ptr is not None:
            new_left, new_right, k_scale = _in_8_bits(new_left, new_right, MOST, INTEGERS)
            raw_left, raw_right, v_scale = _in_8_bits(raw_left, raw_right, MOST, INTEGERS)
            scale_at = HALF // 2  # after 2·HALF bytes, in float32
            tl.store(k_scales_ptr + k_row * (ROW // 4) + scale_at, k_scale, mask=is_k)
            tl.store(v_scales_ptr + v_row * (ROW // 4) + scale_at, v_scale, mask=is_v)
        dtype_of_cache: tl.constexpr = k_cache_ptr.dtype.element_ty
        write_k = k_cache_ptr + k_row * ROW + at
        tl.store(write_k, new_left.to(dtype_of_cache), mask=is_k & channel)
        tl.store(write_k + HALF, new_right.to(dtype_of_cache), mask=is_k & channel)
        write_v = v_cache_ptr + v_row * ROW + at
        tl.store(write_v, raw_left.to(dtype_of_cache), mask=is_v & channel)
        tl.store(write_v + HALF, raw_right.to(dtype_of_cache), mask=is_v & channel)


@triton.jit
def _in_8_bits(left, right, MOST: tl.constexpr, INTEGERS: tl.constexpr):
    """Return the halves of each row over its scale, and the scale, all float32."""
    left = left.to(tl.float32)
    right = right.to(tl.float32)
    largest = tl.maximum(tl.max(tl.abs(left), axis=1), tl.max(tl.abs(right), axis=1))
    # The maximum passes over NaN; 0 times each number does not.
    unknown = tl.sum(left * 0.0, axis=1) + tl.sum(right * 0.0, axis=1)
    scale = (tl.maximum(largest / MOST, 1e-30) + unknown)[:, None]
    left = left / scale
    right = right / scale
    if INTEGERS:
        left = tl.floor(left + 0.5)
        right = tl.floor(right + 0.5)
    return left, right, scale


@triton.jit
def _weight(q_at, k_at, is_q, channel):
    """Return each head's norm weight, float32."""
    of_q = tl.load(q_at, mask=channel, other=0.0)
    of_k = tl.load(k_at, mask=channel, other=0.0)
    return tl.where(is_q, of_q, of_k).to(tl.float32)
