"""The ops whose arithmetic is compiled for this CPU, on NumPy arrays; the rest are NumPy's.

Signatures and results are those of ``numpy_ops``. A row's result does not depend, to the last bit, on
what else is in the batch.
"""

from __future__ import annotations

import sys

import numpy as np
from numpy.typing import NDArray

from inference.ops import numpy_ops
from inference.ops.attention import AttentionPlan
from inference.ops.cpu.compilation import load
from inference.ops.cpu.packed_matrix import PackedMatrix
from inference.ops.matrix import Matrix
from inference.ops.numpy_ops import Array

__all__ = [
    "add_rms_norm",
    "linear",
    "linear_silu_mul",
    "paged_attention",
    "rope_store",
    "silu_mul",
]


def linear(x: Array, weight: Array | Matrix, bias: Array | None = None) -> Array:
    """As ``inference.ops.linear.linear``; other matrices than packed ones are left to NumPy."""
    if not isinstance(weight, PackedMatrix):
        return numpy_ops.linear(x, weight, bias)
    product = weight.multiply_array(x)
    return product if bias is None else product + bias


def add_rms_norm(x: Array, residual: Array, weight: Array, *, eps: float) -> tuple[Array, Array]:
    """As ``inference.ops.norm.add_rms_norm``."""
    x, residual = np.ascontiguousarray(x), np.ascontiguousarray(residual)
    normed, total = np.empty_like(x), np.empty_like(x)
    load().add_rms_norm(
        *(x.ctypes.data, residual.ctypes.data, weight.ctypes.data, eps, *x.shape),
        *(normed.ctypes.data, total.ctypes.data),
    )
    return normed, total


def rope_store(
    qkv: Array,
    cos: Array,
    sin: Array,
    slots: NDArray[np.int64],
    k_cache: Array,
    v_cache: Array,
    q_norm: Array | None,
    k_norm: Array | None,
    *,
    eps: float,
) -> Array:
    """As ``inference.ops.rope.rope_store``."""
    kv_heads, dim = k_cache.shape[-2], 2 * cos.shape[-1]
    rows, width = qkv.shape
    heads = width // dim - 2 * kv_heads
    q, scratch = np.empty((rows, heads, dim), np.float32), np.empty(2 * dim, np.float32)
    qkv = np.ascontiguousarray(qkv)
    norms = [None if norm is None else norm.ctypes.data for norm in (q_norm, k_norm)]
    library = load()
    rope_store = library.rope_store_int8 if k_cache.dtype == np.int8 else library.rope_store
    rope_store(
        *(qkv.ctypes.data, cos.ctypes.data, sin.ctypes.data, slots.ctypes.data),
        *(k_cache.ctypes.data, v_cache.ctypes.data, *norms, eps),
        *(rows, heads, kv_heads, dim, scratch.ctypes.data, q.ctypes.data),
    )
    return q


def silu_mul(gate_up: Array) -> Array:
    """As ``inference.ops.activation.silu_mul``."""
    rows, width = gate_up.shape
    gate_up = np.ascontiguousarray(gate_up)
    gated = np.empty((rows, width // 2), np.float32)
    load().silu_mul(gate_up.ctypes.data, rows, width, width // 2, gated.ctypes.data)
    return gated


def linear_silu_mul(x: Array, weight: Array | Matrix) -> Array:
    """As ``inference.ops.activation.linear_silu_mul``."""
    return silu_mul(linear(x, weight))


def paged_attention(
    q: Array,
    k_cache: Array,
    v_cache: Array,
    plan: AttentionPlan,
    *,
    scale: float,
    window: int | None = None,
) -> Array:
    """As ``inference.ops.attention.paged_attention``; rows of several queries are left to it."""
    heads, dim = q.shape[1:]
    kv_heads = k_cache.shape[-2]
    attended = np.empty((len(q), heads, dim), np.float32)
    if plan.num_single:
        if q.strides[1:] != (4 * dim, 4):
            q = np.ascontiguousarray(q)
        longest = max(plan.host_context_lens[: plan.num_single])
        scores = np.empty(longest, np.float32)
        library = load()
        attend = library.attend_rows_int8 if k_cache.dtype == np.int8 else library.attend_rows
        attend(
            *(q.ctypes.data, q.strides[0] // 4, plan.num_single, kv_heads, heads // kv_heads, dim),
            *(k_cache.ctypes.data, v_cache.ctypes.data, plan.block_size),
            *(plan.block_tables.data_ptr(), plan.block_tables.stride(0)),
            *(plan.context_lens.data_ptr(), scale, window or sys.maxsize),
            *(scores.ctypes.data, attended.ctypes.data),
        )
    numpy_ops.attend_chunks(q, k_cache, v_cache, plan, attended, scale=scale, window=window)
    return attended
