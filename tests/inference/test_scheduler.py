"""The scheduler alone, with a stand-in for the model; no tensor is made."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.blocks import BlockManager
from inference.config import EngineConfig, SamplingParams
from inference.request import Request
from inference.scheduler import Scheduler, Step
from tests.inference.slow_scheduler import SlowScheduler


class Harness:
    """Drives a scheduler; a request's next token is its length, and it ends at ``max_total``."""

    def __init__(self, num_blocks: int = 64, block_size: int = 4, **config: Any) -> None:
        self.blocks = BlockManager(num_blocks, block_size)
        self.scheduler = Scheduler(EngineConfig(**config), self.blocks)
        self.requests: list[Request] = []
        self.clock = itertools.count()

    def add(self, prompt: int, output: int) -> Request:
        # Distinct first tokens, so that nothing is shared.
        tokens = [1000 + len(self.requests), *range(1, prompt)]
        request = Request(
            len(self.requests), tokens, prompt, prompt + output, SamplingParams(), 0, 0
        )
        self.requests.append(request)
        self.scheduler.add(request)
        return request

    def step(self) -> Step:
        step = self.scheduler.schedule(lambda: next(self.clock))
        ends = [chunk for chunk in step.chunks if chunk.is_last]
        self.scheduler.complete(step)
        self.scheduler.publish(step, step.requests)
        for chunk in ends:
            chunk.request.tokens.append(len(chunk.request.tokens))
            if len(chunk.request.tokens) >= chunk.request.max_total:
                self.scheduler.remove(chunk.request)
        self.blocks.check_integrity(r.table for r in self.requests if not r.finished)
        assert not any(r.num_computed or r.table.blocks for r in self.scheduler.waiting)
        return step

    def drain(self, limit: int = 2000) -> list[Step]:
        steps = []
        while self.scheduler.has_unfinished():
            steps.append(self.step())
            assert steps[-1].chunks, "an empty step with requests unfinished"
            assert len(steps) < limit, "no progress"
        return steps


def shape(step: Step) -> list[tuple[int, int, int]]:
    return [(c.request.request_id, c.start, c.length) for c in step.chunks]


def test_decoding_goes_first_and_prompts_take_what_is_left_of_the_budget() -> None:
    h = Harness(max_num_batched_tokens=8)
    h.add(4, 5)
    assert shape(h.step()) == [(0, 0, 4)]
    h.add(20, 5)
    assert shape(h.step()) == [(0, 4, 1), (1, 0, 7)]
    assert shape(h.step()) == [(0, 5, 1), (1, 7, 7)]
    assert shape(h.step()) == [(0, 6, 1), (1, 14, 6)]
    assert shape(h.step()) == [(0, 7, 1), (1, 20, 1)]


def test_no_step_exceeds_budget_or_seats() -> None:
    h = Harness(max_num_batched_tokens=6, max_num_seqs=3)
    for prompt in (9, 1, 30, 2, 7, 7, 12):
        h.add(prompt, 4)
    for step in h.drain():
        assert 1 <= step.num_tokens <= 6
        assert len(step.chunks) <= 3


def test_the_chunk_size_limits_one_prompt_not_the_step() -> None:
    h = Harness(max_num_batched_tokens=64, prefill_chunk_size=5)
    h.add(12, 1)
    h.add(12, 1)
    assert shape(h.step()) == [(0, 0, 5), (1, 0, 5)]


def test_without_chunking_a_prompt_runs_whole_even_over_budget() -> None:
    h = Harness(max_num_batched_tokens=8, enable_chunked_prefill=False)
    h.add(3, 3)
    h.add(20, 2)
    h.add(4, 2)
    steps = [shape(s) for s in h.drain()]
    assert (1, 0, 20) in [chunk for step in steps for chunk in step]
    over = [step for step in steps if (1, 0, 20) in step]
    assert over == [[(1, 0, 20)]], "over budget only in a step of its own"


def test_more_seats_than_budget_starves_nobody() -> None:
    h = Harness(max_num_batched_tokens=2, max_num_seqs=64)
    for _ in range(5):
        h.add(1, 4)
    while h.scheduler.has_unfinished():
        # A seat without budget would hold blocks and not advance.
        assert h.step().num_tokens <= 2
        assert len(h.scheduler.running) <= 2


def test_out_of_blocks_the_newest_yields_and_keeps_its_tokens() -> None:
    # Two requests that each need all 4 blocks in the end.
    h = Harness(num_blocks=4, block_size=4)
    old, new = h.add(6, 10), h.add(6, 10)
    h.step()
    while not h.scheduler.num_preemptions:
        h.step()
    assert (old.num_preemptions, new.num_preemptions) == (0, 1)
    kept = list(new.tokens)
    assert len(kept) > 6
    assert list(h.scheduler.waiting) == [new]
    h.drain()
    assert new.tokens[: len(kept)] == kept
    assert len(new.tokens) == 16


def test_a_prompt_is_admitted_only_with_room_for_all_of_it() -> None:
    h = Harness(num_blocks=6, block_size=2, prefill_chunk_size=2)
    h.add(10, 1)
    h.add(10, 1)
    steps = [shape(step) for step in h.drain()]
    assert h.scheduler.num_preemptions == 0
    assert all(len(step) == 1 for step in steps), "side by side they would have run out"


def test_the_preempted_go_before_those_never_admitted() -> None:
    h = Harness(num_blocks=6, block_size=2, max_num_seqs=3)
    for _ in range(6):
        h.add(3, 7)
    ends: list[int] = []
    while h.scheduler.has_unfinished():
        h.step()
        ends += [r.request_id for r in h.requests if r.finished and r.request_id not in ends]
    assert ends == sorted(ends), "equal requests end in order of arrival"
    assert h.scheduler.num_preemptions > 0


@pytest.mark.parametrize("num_blocks", [8, 9, 11, 16])
@pytest.mark.parametrize("chunk", [None, 1, 3])
def test_every_request_ends_in_a_crowded_cache(num_blocks: int, chunk: int | None) -> None:
    h = Harness(num_blocks=num_blocks, block_size=2, prefill_chunk_size=chunk, max_num_seqs=5)
    for prompt, output in [(10, 7), (1, 16), (16, 1), (5, 5), (2, 2), (8, 9), (12, 4)]:
        h.add(prompt, output)
    h.drain()
    assert all(len(r.tokens) == r.max_total for r in h.requests)
    assert h.blocks.num_used == 0


def test_a_request_removed_in_any_state_leaves_nothing_behind() -> None:
    h = Harness(max_num_seqs=1)
    running, waiting = h.add(9, 3), h.add(9, 3)
    h.step()
    h.scheduler.remove(waiting)
    h.scheduler.remove(running)
    assert not h.scheduler.has_unfinished()
    assert h.blocks.num_used == 0
    h.blocks.check_integrity([])


@settings(max_examples=150, deadline=None)
@given(
    # Arrival (the step), prompt and output; a second token of 0 or 1 makes some prompts alike.
    traffic=st.lists(
        st.tuples(st.integers(0, 12), st.integers(1, 14), st.integers(1, 8), st.integers(0, 1)),
        min_size=1,
        max_size=12,
    ),
    block_size=st.sampled_from([1, 2, 4]),
    budget=st.sampled_from([1, 3, 8, 64]),
    seats=st.sampled_from([1, 3, 16]),
    chunk=st.sampled_from([None, 1, 3]),
    chunked=st.booleans(),
)
def test_every_step_is_the_one_the_plain_policy_gives(
    traffic: list[tuple[int, int, int, int]], block_size: int, **settings: Any
) -> None:
    config = EngineConfig(
        max_num_batched_tokens=settings["budget"],
        max_num_seqs=settings["seats"],
        prefill_chunk_size=settings["chunk"],
        enable_chunked_prefill=settings["chunked"],
    )
    num_blocks = -(-22 // block_size) + 2
    slow = SlowScheduler(config, BlockManager(num_blocks, block_size))
    fast = Scheduler(config, BlockManager(num_blocks, block_size))
    due = sorted(enumerate(traffic), key=lambda item: item[1][0])

    def request_of(index: int, prompt: int, output: int, second: int) -> Request:
        tokens = [second] * prompt
        return Request(index, tokens, prompt, prompt + output, SamplingParams(), 0, 0)

    number = 0
    while due or fast.has_unfinished():
        while due and due[0][1][0] <= number:
            index, (_, *shape_) = due.pop(0)
            slow.waiting.append(request_of(index, *shape_))
            fast.add(request_of(index, *shape_))
        planned = slow.plan()
        step = fast.schedule(lambda: 0)
        assert shape(step) == [(r.request_id, start, length) for r, start, length in planned]
        slow.complete(planned)
        fast.complete(step)
        fast.publish(step, step.requests)
        for owner, requests in (
            (slow, [c[0] for c in planned]),
            (fast, [c.request for c in step.chunks]),
        ):
            for request in requests:
                if request.num_computed == len(request.tokens):
                    request.tokens.append(len(request.tokens) % 2)
                    if len(request.tokens) >= request.max_total:
                        owner.remove(request)
        fast.check_integrity()
        number += 1
        assert number < 3000, "no progress"
