"""Replicas give the tokens of one engine; routing is what a slow, obvious rule says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference import LLM, ConfigError, EngineConfig, PromptError, RequestNotFound, SamplingParams
from inference.replicas import Replicas, open_engine
from inference.routing import SLACK, PrefixMemory, route

PROMPTS = [[i % 3] * 8 + [(5 * i + j) % 512 for j in range(1 + 3 * i % 11)] for i in range(14)]
# Some draw their own seeds: the same as one engine would give them.
PARAMS = [SamplingParams(max_tokens=3 + i % 6, temperature=0.7 * (i % 2)) for i in range(14)]
CONFIG = EngineConfig(block_size=4, max_num_seqs=3, num_threads=1)


def slow_route(loads: Sequence[int], shared: Sequence[int], seats: int) -> int | None:
    """Look at every replica, and keep the best so far."""
    best: int | None = None
    for i in range(len(loads)):
        if loads[i] >= seats or loads[i] > min(loads) + SLACK:
            continue
        if (
            best is None
            or shared[i] > shared[best]
            or (shared[i] == shared[best] and loads[i] < loads[best])
        ):
            best = i
    return best


@given(
    st.integers(1, 6),
    st.lists(st.tuples(st.integers(0, 9), st.sampled_from([0, 4, 8])), min_size=1, max_size=5),
)
def test_a_route_is_what_a_look_at_every_replica_says(
    seats: int, replicas: list[tuple[int, int]]
) -> None:
    loads, shared = zip(*replicas, strict=True)
    assert route(loads, shared, seats=seats) == slow_route(loads, shared, seats)


@given(
    st.lists(st.tuples(st.integers(0, 1), st.lists(st.integers(0, 1), max_size=13)), max_size=12),
    st.lists(st.integers(0, 1), max_size=13),
)
def test_the_memory_knows_the_longest_beginning_in_blocks(
    noted: list[tuple[int, list[int]]], prompt: list[int]
) -> None:
    memory = PrefixMemory(2, block_size=3, capacity=1000)
    for replica, tokens in noted:
        memory.note(replica, tokens)
    longest = [0, 0]
    for replica, tokens in noted:
        for size in range(3, 15, 3):
            if len(prompt) >= size and prompt[:size] == tokens[:size]:
                longest[replica] = max(longest[replica], size)
    assert memory.shared(prompt) == longest


def test_the_memory_forgets_the_oldest_from_its_end() -> None:
    memory = PrefixMemory(1, block_size=2, capacity=3)
    memory.note(0, [1, 1, 2, 2, 3, 3])
    memory.note(0, [9, 9])
    assert memory.shared([1, 1, 2, 2, 3, 3]) == [4]
    assert memory.shared([9, 9, 9, 9]) == [2]


@pytest.fixture(scope="module")
def expected() -> list[list[int]]:
    return [output.token_ids for output in LLM("tiny", CONFIG).generate(PROMPTS, PARAMS)]


@pytest.mark.parametrize("count", [1, 3])
def test_replicas_give_the_tokens_of_one_engine(count: int, expected: list[list[int]]) -> None:
    with Replicas("tiny", replace(CONFIG, replicas=count)) as replicas:
        outputs = replicas.generate(PROMPTS, PARAMS)
        assert [output.token_ids for output in outputs] == expected
        assert replicas.counters()["requests_finished"] == len(PROMPTS)
        each = [engine.counters()["requests_finished"] for engine in replicas._engines]
        assert min(each) >= len(PROMPTS) // count - 3, each
        assert replicas.occupancy()["running"] == replicas.occupancy()["waiting"] == 0
        replicas.check_integrity()


def test_a_prompt_goes_where_its_beginning_is() -> None:
    with Replicas("tiny", replace(CONFIG, replicas=2)) as replicas:
        for turn in range(4):
            for chat in range(2):
                prompt = [chat] * 16 + [chat, turn]
                replicas.generate([prompt], SamplingParams(max_tokens=2))
        hits = [engine.counters()["prefix_hit_tokens"] for engine in replicas._engines]
        assert sum(hits) == 2 * 3 * 16


def test_events_aborts_and_errors_are_those_of_an_engine(expected: list[list[int]]) -> None:
    with Replicas("tiny", replace(CONFIG, replicas=2)) as replicas:
        ids = [replicas.submit(p, own) for p, own in zip(PROMPTS, PARAMS, strict=True)]
        assert replicas.abort(ids[-1])  # still in the queue
        assert replicas.output(ids[0]).num_prompt_tokens == len(PROMPTS[0])
        seen: dict[int, list[int]] = {}
        while replicas.has_unfinished():
            for request, token, _ in replicas.step():
                seen.setdefault(request, []).append(token)
        for i, request in enumerate(ids):
            output = replicas.output(request)
            assert output.token_ids == seen.get(request, [])
            assert output.token_ids == ([] if i == len(ids) - 1 else expected[i])
        with pytest.raises(RequestNotFound):
            replicas.output(ids[0])
        with pytest.raises(PromptError, match="empty"):
            replicas.submit([])
    with pytest.raises(ConfigError, match="replicas is 0"):
        EngineConfig(replicas=0)
    with pytest.raises(ConfigError, match="use open_engine"):
        LLM("tiny", EngineConfig(replicas=2))
    assert type(open_engine("tiny")) is LLM


def test_a_step_that_fails_leaves_the_other_engines_and_requests_whole(
    expected: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Replicas("tiny", replace(CONFIG, replicas=2)) as replicas:
        other = replicas.submit([5, 5, 5], SamplingParams(max_tokens=4))
        enqueue = replicas._engines[1]._runner._enqueue
        with monkeypatch.context() as patch:

            def fails(step: Any) -> Any:
                raise RuntimeError("no more memory")

            patch.setattr(replicas._engines[1]._runner, "_enqueue", fails)
            with pytest.raises(RuntimeError, match="no more memory"):
                replicas.generate(PROMPTS, PARAMS)
        assert replicas._engines[1]._runner._enqueue == enqueue
        while replicas.has_unfinished():
            replicas.step()
        assert len(replicas.output(other).token_ids) in (0, 4)  # it may have been in that step
        assert replicas.occupancy()["blocks_used"] == replicas.occupancy()["waiting"] == 0
        greedy = [i for i, own in enumerate(PARAMS) if own.temperature == 0.0]
        outputs = replicas.generate([PROMPTS[i] for i in greedy], [PARAMS[i] for i in greedy])
        assert [o.token_ids for o in outputs] == [expected[i] for i in greedy]
        replicas.check_integrity()
