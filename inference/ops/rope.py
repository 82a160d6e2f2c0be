"""Norm, rotation and KV store of q, k and v between projection and attention, as one op."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from inference.architecture import RopeConfig
from inference.ops.kv_rows import store
from inference.ops.norm import rms_norm
from inference.ops.registry import Op

__all__ = ["ROPE_STORE", "inverse_frequencies", "rope_store"]


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
    """Normalise (Qwen3) and rotate q and k, write k and v to the cache, return q.

    Args:
        qkv: Packed projections, ``[T, (heads + 2·kv_heads)·head_dim]``, in the order q, k, v.
        cos: Of each token's angles, ``[T, head_dim/2]``, float32.
        sin: As ``cos``.
        slots: Where each token's k and v go: ``block·block_size + offset``, ``[T]``, int64.
        k_cache: ``[blocks, block_size, kv_heads, row]``, contiguous; **written**. A row is
            ``head_dim`` wide, or in 8 bits with a scale (``kv_rows``).
        v_cache: As ``k_cache``; **written**.
        q_norm: RMSNorm weight over each query head, ``[head_dim]``, or None.
        k_norm: As ``q_norm``, for keys; both or neither.
        eps: Of those norms.

    Returns:
        New tensor, rotated q, ``[T, heads, head_dim]``, dtype of ``qkv``.

    Cost:
        Reads T·(heads + 2·kv_heads)·head_dim elements plus the angles, writes as many;
        memory-bound.

    Source:
        Su et al. 2021, arXiv:2104.09864, in the half-split layout of Llama checkpoints.
    """
    kv_heads, dim = k_cache.shape[-2], 2 * cos.shape[-1]
    heads = qkv.shape[-1] // dim - 2 * kv_heads
    # Slices by narrow: beside one row a call costs more than what it does, and this is the least.
    packed = qkv.view(-1, heads + 2 * kv_heads, dim)
    qk = packed.narrow(1, 0, heads + kv_heads)
    if q_norm is not None and k_norm is not None:
        q, k = qk.narrow(1, 0, heads), qk.narrow(1, heads, kv_heads)
        qk = torch.cat((rms_norm(q, q_norm, eps=eps), rms_norm(k, k_norm, eps=eps)), dim=1)
    qk = _rotate(qk, cos, sin)
    store(k_cache, slots, qk.narrow(1, heads, kv_heads))
    store(v_cache, slots, packed.narrow(1, heads + kv_heads, kv_heads))
    return qk.narrow(1, 0, heads).contiguous()


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    # Each pair (x[i], x[i + dim/2]) turns by the i-th angle.
    pairs = x.float().view(len(x), x.shape[1], 2, cos.shape[-1])
    left, right = pairs.unbind(2)
    turned = pairs * cos[:, None, None]
    turned_left, turned_right = turned.unbind(2)
    sin = sin.unsqueeze(1)
    turned_left.addcmul_(right, sin, value=-1.0)
    turned_right.addcmul_(left, sin)
    return turned.view(x.shape).to(x.dtype)


def inverse_frequencies(rope: RopeConfig, head_dim: int, max_position: int) -> Tensor:
    """Return the angle per position of each pair of channels.

    Args:
        rope: Which scaling.
        head_dim: Channels of a head.
        max_position: Positions of the engine's longest sequence; longrope has one set of factors
            for engines within the original context and one for the others. Sequences share cached
            keys, so one engine uses one set.

    Returns:
        ``[head_dim/2]``, float32, radians per position.

    Source:
        Default and linear as in arXiv:2104.09864 and arXiv:2306.15595; llama3 as in Meta's
        llama-models, ``apply_scaling``: wavelengths longer than the original context over
        ``low_freq_factor`` are stretched by ``factor``, those shorter than it over
        ``high_freq_factor`` are kept, those between are interpolated; yarn as in
        arXiv:2309.00071, section 3.2; longrope as in arXiv:2402.13753.
    """
    exponent = torch.arange(0, head_dim, 2, dtype=torch.float32) / head_dim
    freq = 1.0 / (rope.theta**exponent)
    if rope.kind == "linear":
        return freq / rope.factor
    if rope.kind == "default":
        return freq
    if rope.kind == "longrope":
        is_long = max_position > rope.original_max_position
        return freq / torch.tensor(rope.long_factors if is_long else rope.short_factors)
    keep = _yarn_share(rope, head_dim) if rope.kind == "yarn" else _llama3_share(rope, freq)
    return keep * freq + (1.0 - keep) * freq / rope.factor


def _llama3_share(rope: RopeConfig, freq: Tensor) -> Tensor:
    """Return how much of each frequency is kept, in [0, 1]; the rest is stretched."""
    turns = rope.original_max_position * freq / (2 * math.pi)
    keep = (turns - rope.low_freq_factor) / (rope.high_freq_factor - rope.low_freq_factor)
    return keep.clamp(0.0, 1.0)


def _yarn_share(rope: RopeConfig, head_dim: int) -> Tensor:
    """As ``_llama3_share``: a ramp between the channels that turn ``beta_fast`` and ``beta_slow`` times."""

    def channel(turns: float) -> float:
        wavelength = rope.original_max_position / (turns * 2 * math.pi)
        return head_dim * math.log(wavelength) / (2 * math.log(rope.theta))

    low, high = channel(rope.beta_fast), channel(rope.beta_slow)
    if rope.truncate:
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, head_dim - 1)
    if low == high:
        high += 0.001  # a step, not a division by zero
    ramp = (torch.arange(head_dim // 2, dtype=torch.float32) - low) / (high - low)
    return 1.0 - ramp.clamp(0.0, 1.0)


ROPE_STORE = Op("rope_store", rope_store, "inference.ops.triton.rope:rope_store")
