"""Steps laid out in place, row by row, against a layout from nothing that anyone can read."""

from __future__ import annotations

import random
from itertools import accumulate
from typing import Any

import pytest
import torch

from inference.batch import Batch, BatchBuilder
from inference.blocks import BlockManager
from inference.config import EngineConfig, SamplingParams
from inference.lanes import Lanes
from inference.request import Request
from inference.scheduler import Scheduler, Step
from inference.staging import Sizes
from inference.static_batches import StaticScheduler

CPU = torch.device("cpu")
MAX_LEN = 48


def plain_layout(step: Step, block_size: int) -> dict[str, Any]:
    """Return what a batch must hold, one chunk after the other."""
    singles = sorted((c for c in step.chunks if c.width == 1), key=lambda c: c.start)
    chunks = singles + [c for c in step.chunks if c.width > 1]
    tokens: list[int] = []
    positions: list[int] = []
    slots: list[int] = []
    for chunk in chunks:
        blocks = chunk.request.table.blocks
        for i in range(chunk.width):
            position = chunk.start + i
            positions.append(position)
            slots.append(blocks[position // block_size] * block_size + position % block_size)
            padding = 0 if chunk.length else chunk.request.tokens[-1]
            tokens.append(chunk.request.tokens[position] if i < chunk.length else padding)
    starts = list(accumulate((c.width for c in chunks), initial=0))
    sampled = [(i, c.request) for i, c in enumerate(chunks) if c.is_last]
    return {
        "tokens": tokens,
        "positions": positions,
        "slots": slots,
        "query_starts": starts,
        "context_lens": [c.start + c.width for c in chunks],
        "blocks": [c.request.table.blocks[: -(-(c.start + c.width) // block_size)] for c in chunks],
        "num_single": len(singles),
        "sampled": [request for _, request in sampled],
        "sample_rows": [starts[i] + max(chunks[i].length, 1) - 1 for i, _ in sampled],
        "temperature": [r.params.temperature for _, r in sampled],
        "top_k": [r.params.top_k for _, r in sampled],
        "top_p": [r.params.top_p for _, r in sampled],
        "seeds": [r.seed % 2**63 for _, r in sampled],
        # An ended lane's token is thrown away, wherever it would stand.
        "sample_positions": [None if r.finished else len(r.tokens) for _, r in sampled],
    }


def as_plain(batch: Batch) -> dict[str, Any]:
    """Return a batch in the terms of ``plain_layout``."""
    plan = batch.plan
    rows = range(len(batch.tokens)) if batch.sample_rows is None else batch.sample_rows.tolist()
    temperature, top_k, top_p, seeds, positions = (t.tolist() for t in batch.sampling)
    assert plan.host_query_starts == tuple(plan.query_starts.tolist())
    assert plan.host_context_lens == tuple(plan.context_lens.tolist())
    bounds = [bound for group in plan.single_groups for bound in group]
    assert bounds[1:-1:2] == bounds[2::2], "groups follow each other"
    assert [*bounds[:1], *bounds[-1:]] in ([], [0, plan.num_single])
    return {
        "tokens": batch.tokens.tolist(),
        "positions": batch.positions.tolist(),
        "slots": batch.slots.tolist(),
        "query_starts": plan.query_starts.tolist(),
        "context_lens": plan.context_lens.tolist(),
        "blocks": [
            row[: -(-context // plan.block_size)]
            for row, context in zip(plan.block_tables.tolist(), plan.host_context_lens, strict=True)
        ],
        "num_single": plan.num_single,
        "sampled": batch.sampled,
        "sample_rows": list(rows),
        "temperature": temperature,
        "top_k": top_k,
        "top_p": [round(p, 3) for p in top_p],
        "seeds": seeds,
        "sample_positions": [
            None if request.finished else position
            for request, position in zip(batch.sampled, positions, strict=True)
        ],
    }


@pytest.mark.parametrize("batching", ["continuous", "padded"])
@pytest.mark.parametrize("block_size", [1, 4])
@pytest.mark.parametrize("persistent", [True, False])
@pytest.mark.parametrize("seed", range(6))
def test_every_step_is_laid_out_as_from_nothing(
    batching: str, block_size: int, persistent: bool, seed: int
) -> None:
    rng = random.Random(seed)
    config = EngineConfig(
        batching=batching,
        max_num_seqs=rng.choice([3, 6]),
        max_num_batched_tokens=rng.choice([6, 64]),
        prefill_chunk_size=rng.choice([None, 1, 5]),
    )
    # Room for about three of the longest: preemption, and lanes that change hands, are frequent.
    blocks = BlockManager(3 * MAX_LEN // block_size, block_size)
    made = Scheduler if batching == "continuous" else StaticScheduler
    scheduler = made(config, blocks)
    sizes = Sizes(config.max_num_batched_tokens, config.max_num_seqs, MAX_LEN // block_size)
    builder = BatchBuilder(
        sizes, block_size=block_size, length_buckets=True, persistent=persistent, device=CPU
    )
    in_place = 0
    for number in range(12):
        prompt = [rng.randrange(1, 3) for _ in range(rng.randrange(1, 24))]
        params = SamplingParams(
            temperature=rng.choice([0.0, 0.5]), top_k=number, top_p=rng.choice([1.0, 0.5])
        )
        length = len(prompt) + rng.randrange(1, 24)
        scheduler.add(Request(number, prompt, len(prompt), length, params, 2**63 + number, 0))
    while scheduler.has_unfinished():
        step = scheduler.schedule(lambda: 0)
        before = builder._last
        batch = builder.build(step)
        in_place += before is not None and builder._last is before
        assert as_plain(batch) == plain_layout(step, block_size)
        scheduler.complete(step)
        for request in [r for r in batch.sampled if not r.finished]:
            request.tokens.append(rng.randrange(3, 100))
            if len(request.tokens) >= request.max_total or rng.random() < 0.02:
                scheduler.remove(request)
    assert (in_place > 0) == persistent


def test_lanes_change_hands_without_a_trace() -> None:
    lanes = Lanes(2, 4)
    requests = [Request(i, [1], 1, 2, SamplingParams(top_k=i), i, 0) for i in range(3)]
    for request, blocks in zip(requests, ([5, 6, 7], [8], [9, 1]), strict=True):
        request.table.blocks.extend(blocks)
    first, second = lanes.seat(requests[:2])
    assert lanes.seat(requests[1::-1]) == [second, first], "kept"
    (third,) = lanes.seat(requests[2:])
    assert lanes.tables[third, :2].tolist() == [9, 1]
    assert lanes.top_k[third] == 2
    again, _ = lanes.seat([requests[0], requests[2]])
    assert again != third
    assert lanes.tables[again, :3].tolist() == [5, 6, 7]
    # Preempted, and back with other blocks.
    requests[0].table.blocks[:] = [2, 3]
    requests[0].num_preemptions += 1
    lanes.copy_blocks(again, requests[0])
    assert lanes.tables[again, :2].tolist() == [2, 3]


def test_decoding_steps_are_padded_with_rows_that_do_nothing() -> None:
    scheduler = Scheduler(EngineConfig(), BlockManager(8, 4))
    builder = BatchBuilder(
        Sizes(16, 4, 4),
        block_size=4,
        length_buckets=True,
        persistent=True,
        device=CPU,
        padded=lambda sizes: Sizes(4, 4, 4),
    )
    for number in range(3):
        scheduler.add(Request(number, [5, 6], 2, 9, SamplingParams(temperature=1.0), 0, 0))
    for number in range(4):
        step = scheduler.schedule(lambda: 0)
        batch = builder.build(step)
        scheduler.complete(step)
        for request in batch.sampled:
            request.tokens.append(7)
        if not number:
            assert len(batch.tokens) == 6, "prompts are not padded"
            continue
        assert len(batch.sampled) == 3
        assert batch.tokens.tolist() == [7, 7, 7, 0]
        assert batch.positions.tolist() == [number + 1] * 3 + [0]
        assert batch.slots[3] == -1
        assert batch.plan.query_starts.tolist() == [0, 1, 2, 3, 4]
        assert batch.plan.context_lens.tolist() == [number + 2] * 3 + [0]
        assert batch.plan.block_tables.shape == (4, 4)
        assert batch.plan.max_context == 16
        assert batch.sampling[0].tolist() == [1.0, 1.0, 1.0, 0.0]
        assert batch.lanes[3] == batch.sample_lanes[3] == 4, "a lane of nobody"


def test_a_step_larger_than_the_buffers_gets_its_own() -> None:
    scheduler = Scheduler(
        EngineConfig(max_num_batched_tokens=4, enable_chunked_prefill=False), BlockManager(8, 4)
    )
    builder = BatchBuilder(
        Sizes(4, 4, 8), block_size=4, length_buckets=True, persistent=True, device=CPU
    )
    scheduler.add(Request(0, list(range(20)), 20, 22, SamplingParams(), 0, 0))
    batch = builder.build(scheduler.schedule(lambda: 0))
    assert batch.tokens.tolist() == list(range(20))
