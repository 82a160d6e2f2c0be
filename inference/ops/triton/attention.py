"""Paged attention in one launch: prefill, chunks and decode, every head of a layer, split contexts.

::

    program (q block, kv head, split)
        q block   BLOCK_Q tokens of one row × the query heads that share the kv head
        split     a share of the KV tiles which that block sees

The heads of a group stand side by side in the rows of one tile, so that a kv head is read once for
all of them, and a decode step, with one query a row, still fills a tensor core tile. Where blocks
and kv heads alone do not fill the device, the context is split, and the last of a block's programs
adds up the shares (flash decoding). Which row a block belongs to is searched on the device: the
grid follows from the number of tokens and rows alone.
"""

from __future__ import annotations

import math

import torch
import triton
import triton.language as tl
from torch import Tensor

from inference.ops.attention import AttentionPlan
from inference.ops.triton.arrival import arrival_counters, is_last, num_splits
from inference.ops.triton.attention_blocks import LEAST_TILE, STAGES, choose_blocks
from inference.ops.triton.device import device_shape
from inference.ops.triton.dot import dot
from inference.ops.triton.layout import require_contiguous

__all__ = ["paged_attention"]

_LEAST_TILES_PER_SPLIT = 2  # fewer cost more in the adding up than they gain


def paged_attention(
    q: Tensor,
    k_cache: Tensor,
    v_cache: Tensor,
    plan: AttentionPlan,
    *,
    scale: float,
    window: int | None = None,
) -> Tensor:
    """As ``inference.ops.attention.paged_attention``; a row of context 0 yields zeros."""
    require_contiguous(
        "paged_attention",
        q=q,
        k_cache=k_cache,
        v_cache=v_cache,
        query_starts=plan.query_starts,
        context_lens=plan.context_lens,
        block_tables=plan.block_tables,
    )
    out = torch.empty_like(q)
    tokens, heads, dim = q.shape
    if tokens == 0:
        return out
    rows = plan.context_lens.shape[0]
    block_size, kv_heads, width = k_cache.shape[1:]
    in_8_bits = k_cache.element_size() == 1
    shape = device_shape(q.device)
    blocks = choose_blocks(
        group=heads // kv_heads,
        queries=-(-tokens // rows),
        dim=dim,
        itemsize=q.element_size(),
        shape=shape,
    )
    # Row i begins at block query_starts[i] // BLOCK_Q + i: room for each row's ragged end.
    num_blocks = rows if tokens == rows else tokens // blocks.queries + rows
    longest = plan.max_context
    if window is not None:
        longest = min(longest, window + blocks.queries)
    tiles = -(-longest // blocks.context)
    splits = num_splits(
        num_blocks * kv_heads, tiles // _LEAST_TILES_PER_SPLIT, blocks.resident, q.device
    )
    partial = stats = counters = None
    if splits > 1:
        shares = (num_blocks, kv_heads, splits, blocks.rows)
        partial = torch.empty((*shares, dim), dtype=torch.float32, device=q.device)
        stats = torch.empty((*shares, 2), dtype=torch.float32, device=q.device)
        counters = arrival_counters(q.device)
    _paged_attention[(num_blocks, kv_heads, splits)](
        q,
        k_cache,
        v_cache,
        plan.query_starts,
        plan.context_lens,
        plan.block_tables,
        out,
        partial,
        stats,
        counters,
        k_cache.view(torch.float32) if in_8_bits else None,
        v_cache.view(torch.float32) if in_8_bits else None,
        rows,
        plan.block_tables.shape[1],
        splits,
        scale * math.log2(math.e),
        window or 0,
        KV_HEADS=kv_heads,
        GROUP=heads // kv_heads,
        DIM=dim,
        ROW=width,
        BLOCK_SIZE=block_size,
        BLOCK_Q=blocks.queries,
        BLOCK_M=blocks.rows,
        BLOCK_N=blocks.context,
        BLOCK_D=triton.next_power_of_2(max(dim, LEAST_TILE)),
        ONE_QUERY_A_ROW=tokens == rows,
        WIDEN=shape.interpreted,
        num_warps=blocks.warps,
        num_stages=STAGES,
    )
    return out


@triton.jit
def _paged_attention(
    q_ptr,  # [tokens, KV_HEADS, GROUP, DIM]
    k_cache_ptr,  # [slots, KV_HEADS, ROW]
    v_cache_ptr,
    query_starts_ptr,  # [rows + 1]
    context_lens_ptr,  # [rows]
    block_tables_ptr,  # [rows, table_width]
    out_ptr,  # as q
    partial_ptr,  # [q blocks, KV_HEADS, splits, BLOCK_M, DIM]; None where nothing is split
    stats_ptr,  # [q blocks, KV_HEADS, splits, BLOCK_M, 2]: largest score, sum of weights
    counters_ptr,  # [q blocks · KV_HEADS]
    k_scales_ptr,  # k_cache as float32, where a scale ends each row; None of a cache not in 8 bits
    v_scales_ptr,
    rows,
    table_width,
    splits,
    scale,  # times log2(e): the softmax is in powers of 2
    window,  # 0: none
    KV_HEADS: tl.constexpr,
    GROUP: tl.constexpr,
    DIM: tl.constexpr,
    ROW: tl.constexpr,
    BLOCK_SIZE: tl.constexpr,
    BLOCK_Q: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_D: tl.constexpr,
    ONE_QUERY_A_ROW: tl.constexpr,
    WIDEN: tl.constexpr,
):
    # From the last to the first: the blocks that see most begin first, and the tail is short.
    block = tl.num_programs(0) - 1 - tl.program_id(0)
    kv_head, split = tl.program_id(1), tl.program_id(2)
    if ONE_QUERY_A_ROW:
        row = block
        first_token = row
        num_queries = 1
        block_start = 0
    else:
        row = _row_of(block, query_starts_ptr, rows, BLOCK_Q)
        first_token = tl.load(query_starts_ptr + row)
        num_queries = tl.load(query_starts_ptr + row + 1) - first_token
        block_start = (block - (first_token // BLOCK_Q + row)) * BLOCK_Q
    if block_start >= num_queries:
        return  # the room that ragged ends did not need
    context = tl.load(context_lens_ptr + row)

    m = tl.arange(0, BLOCK_M)
    d = tl.arange(0, BLOCK_D)
    query = block_start + m // GROUP  # among the row's queries
    in_block = (m < BLOCK_Q * GROUP) & (query < num_queries)
    position = context - num_queries + query
    head = (first_token + query).to(tl.int64) * KV_HEADS * GROUP + kv_head * GROUP + m % GROUP
    q_at = head[:, None] * DIM + d[None, :]
    q_mask = in_block[:, None] & (d < DIM)[None, :]
    q = tl.load(q_ptr + q_at, mask=q_mask, other=0.0)

    # The positions that any query of the block sees, and this split's share of their tiles.
    last_query = tl.minimum(block_start + BLOCK_Q, num_queries) - 1
    end = tl.maximum(context - num_queries + last_query + 1, 0)
    begin = 0
    if window > 0:
        begin = tl.maximum(context - num_queries + block_start - window + 1, 0)
    first_tile = begin // BLOCK_N
    num_tiles = tl.cdiv(end, BLOCK_N) - first_tile
    share = tl.maximum(tl.cdiv(num_tiles, splits), 1)
    used_splits = tl.maximum(tl.cdiv(num_tiles, share), 1)
    if split >= used_splits:
        return

    largest = tl.full([BLOCK_M], float("-inf"), tl.float32)
    total = tl.zeros([BLOCK_M], tl.float32)
    acc = tl.zeros([BLOCK_M, BLOCK_D], tl.float32)
    table = block_tables_ptr + row.to(tl.int64) * table_width
    low = (first_tile + split * share) * BLOCK_N
    high = tl.minimum(end, low + share * BLOCK_N)
    for start in range(low, high, BLOCK_N):
        n = start + tl.arange(0, BLOCK_N)
        seen = (n >= begin) & (n < end)
        slot = tl.load(table + n // BLOCK_SIZE, mask=seen, other=0).to(tl.int64)
        slot = slot * BLOCK_SIZE + n % BLOCK_SIZE
        kv_row = slot * KV_HEADS + kv_head
        kv_at = kv_row * ROW
        # Unseen positions are not read: what lies there may be NaN.
        k = tl.load(
            k_cache_ptr + kv_at[None, :] + d[:, None],
            mask=seen[None, :] & (d < DIM)[:, None],
            other=0.0,
        )
        v = tl.load(
            v_cache_ptr + kv_at[:, None] + d[None, :],
            mask=seen[:, None] & (d < DIM)[None, :],
            other=0.0,
        )
        if k_scales_ptr is not None:
            # By way of float32: the interpreter casts int8 to bfloat16 wrong.
            k = k.to(tl.float32).to(q.dtype)
            v = v.to(tl.float32).to(q.dtype)
            scale_at = kv_row * (ROW // 4) + DIM // 4
            k_scale = tl.load(k_scales_ptr + scale_at, mask=seen, other=0.0)
            v_scale = tl.load(v_scales_ptr + scale_at, mask=seen, other=0.0)
        visible = seen[None, :] & (n[None, :] <= position[:, None])
        if window > 0:
            visible = visible & (n[None, :] > position[:, None] - window)
        scores = scale * dot(q, k, WIDEN)
        if k_scales_ptr is not None:
            scores = scores * k_scale[None, :]
        scores = tl.where(visible, scores, float("-inf"))
        new_largest = tl.maximum(largest, tl.max(scores, axis=1))
        # A query that has seen nothing yet: -inf less -inf would be NaN.
        shift = tl.where(new_largest == float("-inf"), 0.0, new_largest)
        weights = tl.exp2(scores - shift[:, None])
        fade = tl.exp2(largest - shift)
        total = total * fade + tl.sum(weights, axis=1)
        if k_scales_ptr is not None:
            weights = weights * v_scale[None, :]
        acc = acc * fade[:, None] + dot(weights.to(v.dtype), v, WIDEN)
        largest = new_largest

    if partial_ptr is not None:
        if used_splits > 1:
            group = (block * KV_HEADS + kv_head).to(tl.int64)
            kept_row = (group * splits + split) * BLOCK_M + m
            kept_at = kept_row[:, None] * DIM + d[None, :]
            tl.store(partial_ptr + kept_at, acc, mask=q_mask)
            tl.store(stats_ptr + kept_row * 2, largest, mask=in_block)
            tl.store(stats_ptr + kept_row * 2 + 1, total, mask=in_block)
            if not is_last(counters_ptr + group, used_splits):
                return
            largest = tl.full([BLOCK_M], float("-inf"), tl.float32)
            total = tl.zeros([BLOCK_M], tl.float32)
            acc = tl.zeros([BLOCK_M, BLOCK_D], tl.float32)
            for other in range(used_splits):
                kept_row = (group * splits + other) * BLOCK_M + m
                kept_at = kept_row[:, None] * DIM + d[None, :]
                part = tl.load(partial_ptr + kept_at, mask=q_mask, other=0.0)
                part_largest = tl.load(stats_ptr + kept_row * 2, mask=in_block, other=0.0)
                part_total = tl.load(stats_ptr + kept_row * 2 + 1, mask=in_block, other=0.0)
                new_largest = tl.maximum(largest, part_largest)
                shift = tl.where(new_largest == float("-inf"), 0.0, new_largest)
                fade = tl.exp2(largest - shift)
                part_fade = tl.exp2(part_largest - shift)
                total = total * fade + part_total * part_fade
                acc = acc * fade[:, None] + part * part_fade[:, None]
                largest = new_largest
    # A row of no context, a padding lane of a CUDA graph, has no weights: its output is zero.
    acc = acc / tl.where(total == 0.0, 1.0, total)[:, None]
    tl.store(out_ptr + q_at, acc.to(q.dtype), mask=q_mask)


@triton.jit
def _row_of(block, query_starts_ptr, rows, BLOCK_Q: tl.constexpr):
    """Return the last row whose first block is not after ``block``."""
    low = 0
    high = rows
    while high - low > 1:
        middle = (low + high) // 2
        first_block = tl.load(query_starts_ptr + middle) // BLOCK_Q + middle
        if first_block <= block:
            low = middle
        else:
            high = middle
    return low
