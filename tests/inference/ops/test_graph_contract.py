"""What a captured CUDA graph relies on: padding does no harm, and only device tensors are read.

A replay cannot be had without a GPU. It repeats the same launches on the same buffers, which is
what calling a kernel again after overwriting the buffers in place does.
"""

from __future__ import annotations

import dataclasses

import torch

from inference.ops import OPS, OpSet
from inference.ops.attention import AttentionPlan
from tests.inference.ops.cases import Draw, make_plan

HEADS, KV_HEADS, DIM, BLOCK_SIZE, NUM_BLOCKS = 4, 2, 16, 4, 32
BUCKET, LONGEST = 4, 80  # lanes, positions


def kernels(device: torch.device) -> OpSet:
    return OpSet(OPS, backend="triton", device=device.type)


def test_a_replay_follows_the_buffers_and_padding_yields_zeros(device: torch.device) -> None:
    draw = Draw(torch.float32, device)
    caches = [draw.normal(NUM_BLOCKS, BLOCK_SIZE, KV_HEADS, DIM) for _ in "kv"]
    attention = kernels(device).paged_attention

    def lanes(*shape: int) -> torch.Tensor:
        return torch.zeros(shape, dtype=torch.int32, device=device)

    captured = AttentionPlan(
        query_starts=torch.arange(BUCKET + 1, dtype=torch.int32, device=device),
        context_lens=lanes(BUCKET),
        block_tables=lanes(BUCKET, LONGEST // BLOCK_SIZE),
        block_size=BLOCK_SIZE,
        host_query_starts=(),
        host_context_lens=(),
        single_groups=(),
        num_single=BUCKET,
        max_context=LONGEST,
    )
    for contexts in ([3, 70], [33], [1, 2, 40, LONGEST]):
        order = torch.randperm(NUM_BLOCKS * 2, generator=torch.Generator().manual_seed(1))
        order = (order % NUM_BLOCKS).tolist()  # blocks may be shared
        tables = [[order.pop() for _ in range(-(-n // BLOCK_SIZE))] for n in contexts]
        q = torch.full((BUCKET, HEADS, DIM), torch.nan, device=device)
        q[: len(contexts)] = draw.normal(len(contexts), HEADS, DIM)
        captured.context_lens.zero_()
        captured.block_tables.fill_(-1)
        for lane, (context, table) in enumerate(zip(contexts, tables, strict=True)):
            captured.context_lens[lane] = context
            captured.block_tables[lane, : len(table)] = torch.tensor(table, dtype=torch.int32)
        got = attention(q, *caches, captured, scale=0.3)
        plain = make_plan([(1, n) for n in contexts], tables, BLOCK_SIZE, device=device)
        wanted = attention(q[: len(contexts)], *caches, plain, scale=0.3)
        torch.testing.assert_close(got[: len(contexts)], wanted)
        assert not got[len(contexts) :].any()


def test_a_token_without_a_slot_is_stored_nowhere(device: torch.device) -> None:
    draw = Draw(torch.float32, device)
    caches = [draw.poison(2, BLOCK_SIZE, KV_HEADS, DIM) for _ in "kv"]
    qkv = draw.normal(3, (HEADS + 2 * KV_HEADS) * DIM)
    slots = torch.tensor([-1, 5, -1], device=device)
    q = kernels(device).rope_store(
        qkv, *draw.angles(3, DIM // 2), slots, *caches, None, None, eps=1e-6
    )
    assert q.isfinite().all()
    for cache in caches:
        stored = cache.view(-1, KV_HEADS, DIM).isfinite().all(dim=(1, 2))
        assert stored.nonzero().flatten().tolist() == [5]


def test_the_bound_of_the_context_is_the_longest_unless_given() -> None:
    plan = make_plan([(1, 3), (2, 9)], [[0], [1, 2, 3]], BLOCK_SIZE)
    assert plan.max_context == 9
    assert dataclasses.replace(plan, max_context=64).max_context == 64
