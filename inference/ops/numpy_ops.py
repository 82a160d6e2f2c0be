"""The decoder's ops on NumPy arrays, in float32, for one CPU thread.

Beside few rows a call costs more than its arithmetic: each product streams its weight through the
caches and takes the code of everything else out of them. NumPy's calls run through a fraction of the
code of torch's, and its BLAS reads a matrix of long columns faster. With more threads than one its
pool would fight torch's for the cores.

Arguments and results are those of the references, as arrays of the same memory.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from inference.ops.attention import AttentionPlan, attend_chunk
from inference.ops.kv_rows import SCALE_BYTES
from inference.ops.matrix import Matrix

__all__ = [
    "add_rms_norm",
    "attend_chunks",
    "embedding",
    "limit_threads",
    "linear",
    "linear_silu_mul",
    "paged_attention",
    "rms_norm",
    "rope_store",
    "silu_mul",
]

Array = NDArray[np.float32]

_ROWS = 4  # that the kernels of OpenBLAS multiply at once; fewer take longer than that many
_MANY = 64  # rows from which the last few no longer show


def limit_threads(num_threads: int) -> None:
    """Limit NumPy's BLAS to the number of torch's threads, for the whole process."""
    # Here: the ops alone do without it, as where kernels are tested on a machine with little else.
    from threadpoolctl import threadpool_limits

    threadpool_limits(num_threads, user_api="blas")


def embedding(tokens: NDArray[np.int64], table: Array | Tensor) -> Array:
    """As ``inference.ops.embedding.embedding``; a tensor is a table in fewer bits than float32."""
    if isinstance(table, Tensor):
        rows: Array = table[torch.from_numpy(tokens)].float().numpy()
        return rows
    return table.take(tokens, axis=0)


def rms_norm(x: Array, weight: Array, *, eps: float) -> Array:
    """As ``inference.ops.norm.rms_norm``."""
    mean_square = np.vecdot(x, x)
    mean_square /= x.shape[-1]
    mean_square += eps
    normed: Array = x / np.sqrt(mean_square, out=mean_square)[..., None]
    normed *= weight
    return normed


def add_rms_norm(x: Array, residual: Array, weight: Array, *, eps: float) -> tuple[Array, Array]:
    """As ``inference.ops.norm.add_rms_norm``."""
    total = residual + x
    return rms_norm(total, weight, eps=eps), total


def linear(x: Array, weight: Array | Matrix, bias: Array | None = None) -> Array:
    """As ``inference.ops.linear.linear``."""
    product: Array
    if isinstance(weight, np.ndarray):
        missing = -len(x) % _ROWS if 1 < len(x) < _MANY else 0
        if missing:
            x = np.concatenate((x, np.zeros((missing, x.shape[1]), x.dtype)))
        product = np.dot(x, weight.T)[: len(x) - missing]
    else:
        product = weight.multiply(torch.from_numpy(x)).numpy()
    return product if bias is None else product + bias


def silu_mul(gate_up: Array) -> Array:
    """As ``inference.ops.activation.silu_mul``."""
    half = gate_up.shape[1] // 2
    gate, up = gate_up[:, :half], gate_up[:, half:]
    gated = np.exp(-gate)
    gated += 1.0
    np.divide(gate, gated, out=gated)
    gated *= up
    return gated


def linear_silu_mul(x: Array, weight: Array | Matrix) -> Array:
    """As ``inference.ops.activation.linear_silu_mul``."""
    return silu_mul(linear(x, weight))


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
    """As ``inference.ops.rope.rope_store``, but q is a view."""
    kv_heads, dim = k_cache.shape[-2], 2 * cos.shape[-1]
    packed = qkv.reshape(len(qkv), qkv.shape[1] // dim, dim)
    heads = packed.shape[1] - 2 * kv_heads
    qk, v = packed[:, :-kv_heads], packed[:, -kv_heads:]
    if q_norm is not None and k_norm is not None:
        q, k = qk[:, :heads], qk[:, heads:]
        qk = np.concatenate((rms_norm(q, q_norm, eps=eps), rms_norm(k, k_norm, eps=eps)), axis=1)
    # Each pair (x[i], x[i + dim/2]) turns by the i-th angle.
    pairs = qk.reshape(len(qk), heads + kv_heads, 2, dim // 2)
    turned, crossed = pairs * cos[:, None, None], pairs * sin[:, None, None]
    turned[:, :, 0] -= crossed[:, :, 1]
    turned[:, :, 1] += crossed[:, :, 0]
    qk = turned.reshape(qk.shape)
    _store(k_cache, slots, qk[:, heads:])
    _store(v_cache, slots, v)
    return qk[:, :heads]


def paged_attention(
    q: Array,
    k_cache: Array,
    v_cache: Array,
    plan: AttentionPlan,
    *,
    scale: float,
    window: int | None = None,
) -> Array:
    """As ``inference.ops.attention.paged_attention``; longer rows are computed by it."""
    heads, dim = q.shape[1:]
    kv_heads = k_cache.shape[-2]
    keys, values = (cache.reshape(-1, *cache.shape[2:]) for cache in (k_cache, v_cache))
    grouped = q.reshape(len(q), kv_heads, heads // kv_heads, dim)
    attended = np.empty_like(grouped, order="C")
    for start, end in plan.single_groups:
        slots, mask = plan.gather(start, end, window)
        k, v = _at(keys, slots), _at(values, slots)  # [rows, context, kv_heads, D]
        # [rows, kv_heads, n, context]
        scores = np.matmul(grouped[start:end] * np.float32(scale), k.transpose(0, 2, 3, 1))
        if mask is not None:
            np.copyto(scores, -np.inf, where=~mask.numpy())
        # As ufuncs: the methods of the same names pass through Python first.
        scores -= np.maximum.reduce(scores, axis=-1, keepdims=True)
        weights = np.exp(scores, out=scores)
        total = np.add.reduce(weights, axis=-1, keepdims=True)
        np.matmul(weights, v.transpose(0, 2, 1, 3), out=attended[start:end])
        attended[start:end] /= total
    result: Array = attended.reshape(len(q), heads, dim)
    attend_chunks(q, k_cache, v_cache, plan, result, scale=scale, window=window)
    return result


def attend_chunks(
    q: Array,
    k_cache: Array,
    v_cache: Array,
    plan: AttentionPlan,
    attended: Array,
    *,
    scale: float,
    window: int | None,
) -> None:
    """Write the rows of several queries of ``paged_attention`` to ``attended``."""
    heads, dim = q.shape[1:]
    kv_heads = k_cache.shape[-2]
    keys, values = (cache.reshape(-1, *cache.shape[2:]) for cache in (k_cache, v_cache))
    for row in range(plan.num_single, len(plan.host_context_lens)):
        slots, mask = plan.gather(row, row + 1, window)
        first, last = plan.host_query_starts[row : row + 2]
        chunk = attend_chunk(
            torch.from_numpy(q[first:last].reshape(-1, kv_heads, heads // kv_heads, dim)),
            torch.from_numpy(_at(keys, slots)[0]),
            torch.from_numpy(_at(values, slots)[0]),
            mask,
            scale=scale,
        )
        attended[first:last] = chunk.view(-1, heads, dim).numpy()


def _at(cache: NDArray[Any], slots: Any) -> Array:
    """Return the cache's ``[rows, context, kv_heads, D]`` at ``slots``, in float32."""
    rows = cache[slots][None] if isinstance(slots, slice) else cache.take(slots.numpy(), axis=0)
    if cache.dtype != np.int8:
        return rows
    width = rows.shape[-1] - SCALE_BYTES
    scales = np.ascontiguousarray(rows[..., width:]).view(np.float32)
    return rows[..., :width] * scales


def _store(cache: NDArray[Any], slots: NDArray[np.int64], x: Array) -> None:
    """As ``kv_rows.store``."""
    rows = cache.reshape(-1, *cache.shape[2:])
    if cache.dtype != np.int8:
        rows[slots] = x
        return
    scale = np.maximum.reduce(np.abs(x), axis=-1, keepdims=True) / np.float32(127)
    np.maximum(scale, np.float32(1e-30), out=scale)
    in_8_bits = np.empty((*x.shape[:-1], rows.shape[-1]), np.int8)
    in_8_bits[..., :-SCALE_BYTES] = np.rint(x / scale)
    in_8_bits[..., -SCALE_BYTES:] = scale.view(np.int8)
    rows[slots] = in_8_bits
