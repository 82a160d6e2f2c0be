"""Padded batches: what is computed and what is padding, by hand; and the same tokens in every mode."""

from __future__ import annotations

from typing import Any

import pytest

from inference import LLM, EngineConfig, SamplingParams
from inference.blocks import BlockManager
from inference.config import EngineConfig as Config
from inference.errors import ConfigError
from inference.request import Request
from inference.scheduler import Step
from inference.static_batches import StaticScheduler


class Harness:
    """Drives a static scheduler; a request's next token is its length, and time is by hand."""

    def __init__(self, num_blocks: int = 64, block_size: int = 4, **config: Any) -> None:
        self.blocks = BlockManager(num_blocks, block_size)
        self.scheduler = StaticScheduler(Config(**{"batching": "padded", **config}), self.blocks)
        self.requests: list[Request] = []
        self.now = 0.0

    def add(self, prompt: int, output: int) -> Request:
        tokens = [1000 + len(self.requests), *range(1, prompt)]
        request = Request(
            len(self.requests),
            tokens,
            prompt,
            prompt + output,
            SamplingParams(),
            0,
            round(self.now * 1e9),
        )
        self.requests.append(request)
        self.scheduler.add(request)
        return request

    def step(self) -> Step:
        step = self.scheduler.schedule(lambda: round(self.now * 1e9))
        for chunk in step.chunks:
            held = len(chunk.request.table.blocks) * self.blocks.block_size
            assert chunk.start + chunk.width <= held, "a lane writes beyond its blocks"
        ends = [chunk for chunk in step.chunks if chunk.is_last]
        self.scheduler.complete(step)
        self.scheduler.publish(step, step.requests)
        for chunk in ends:
            chunk.request.tokens.append(len(chunk.request.tokens))
            if len(chunk.request.tokens) >= chunk.request.max_total:
                self.scheduler.remove(chunk.request)
        self.scheduler.check_integrity()
        return step

    def drain(self) -> list[Step]:
        steps = []
        while self.scheduler.has_unfinished():
            steps.append(self.step())
            assert steps[-1].chunks, "an empty step with requests unfinished"
            assert len(steps) < 2000, "no progress"
        return steps


def shape(step: Step) -> list[tuple[int, int, int, int]]:
    return [(c.request.request_id, c.start, c.length, c.padding) for c in step.chunks]


def test_a_batch_is_padded_to_its_longest_prompt_and_run_to_its_longest_output() -> None:
    h = Harness()
    h.add(5, 1)
    h.add(2, 3)
    h.add(3, 2)
    assert [shape(s) for s in h.drain()] == [
        [(0, 0, 5, 0), (1, 0, 2, 3), (2, 0, 3, 2)],
        [(0, 5, 0, 1), (1, 2, 1, 0), (2, 3, 1, 0)],
        [(0, 5, 0, 1), (1, 3, 1, 0), (2, 4, 0, 1)],
    ]
    assert h.blocks.num_used == 0


def test_an_ended_lane_goes_on_as_far_as_the_longest() -> None:
    h = Harness()
    h.add(2, 1)
    h.add(3, 4)
    steps = h.drain()
    assert [shape(s)[0] for s in steps] == [(0, 0, 2, 1), (0, 2, 0, 1), (0, 3, 0, 1), (0, 4, 0, 1)]
    h.add(6, 1)
    h.add(2, 4)
    # Both hold seven positions: the first's last is its seventh.
    assert [shape(s)[0][1] for s in h.drain()] == [0, 6, 6, 6]


def test_a_request_that_comes_late_waits_for_the_batch_to_end() -> None:
    h = Harness()
    h.add(2, 3)
    h.step()
    late = h.add(2, 1)
    assert [shape(s) for s in h.drain()] == [[(0, 2, 1, 0)], [(0, 3, 1, 0)], [(1, 0, 2, 0)]]
    assert late.finished


def test_a_step_computes_as_many_padded_prompts_as_the_budget_holds() -> None:
    h = Harness(max_num_batched_tokens=12)
    for prompt in (6, 2, 4):
        h.add(prompt, 1)
    assert [shape(s) for s in h.drain()] == [[(0, 0, 6, 0), (1, 0, 2, 4)], [(2, 0, 4, 2)]]
    h = Harness(max_num_batched_tokens=4)
    h.add(9, 1)
    assert shape(h.step()) == [(0, 0, 9, 0)], "over budget it has a step of its own"


def test_a_batch_holds_no_more_than_seats_and_blocks() -> None:
    h = Harness(max_num_seqs=2)
    for _ in range(5):
        h.add(3, 1)
    assert [len(s.chunks) for s in h.drain()] == [2, 2, 1]
    # Four blocks of four: two lanes of eight positions.
    h = Harness(num_blocks=4)
    for _ in range(3):
        h.add(4, 4)
    assert [len(s.chunks) for s in h.drain()] == [2] * 4 + [1] * 4
    # One request that fills the cache.
    h = Harness(num_blocks=4)
    h.add(9, 8)
    assert len(h.drain()) == 8


def test_a_bucket_runs_when_full_or_when_its_oldest_has_waited() -> None:
    h = Harness(batching="bucketed", bucket_edges=(4, 16), bucket_wait=1.0, max_num_seqs=2)
    h.add(3, 1)
    h.now = 0.4
    h.add(20, 1)
    assert h.step().chunks == [], "neither is full and nobody has waited a second"
    assert h.scheduler.has_unfinished()
    h.add(17, 1)
    assert shape(h.step()) == [(1, 0, 20, 0), (2, 0, 17, 3)], "full, though not the oldest"
    h.add(4, 1)
    h.add(5, 1)
    assert shape(h.step()) == [(0, 0, 3, 1), (3, 0, 4, 0)], "an edge belongs to the shorter bucket"
    assert h.step().chunks == []
    h.now = 1.4
    assert shape(h.step()) == [(4, 0, 5, 0)]
    assert not h.scheduler.has_unfinished()


def test_of_ripe_buckets_the_one_whose_oldest_came_first_runs_first() -> None:
    h = Harness(batching="bucketed", bucket_edges=(4,), bucket_wait=0.0, max_num_seqs=4)
    for at, prompt in enumerate((9, 2, 9, 2, 3)):
        h.now = float(at)
        h.add(prompt, 1)
    ran = [[c.request.request_id for c in s.chunks] for s in h.drain()]
    assert ran == [[0, 2], [1, 3, 4]]


def test_removing_in_any_state_leaves_nothing_behind() -> None:
    h = Harness(max_num_seqs=3, max_num_batched_tokens=8)
    lanes = [h.add(6, 4) for _ in range(3)]
    waiting = h.add(6, 4)
    h.step()  # the first prompt; the others had no budget
    h.scheduler.remove(lanes[1])
    h.scheduler.remove(waiting)
    assert shape(h.step()) == [(2, 0, 6, 0)], "an aborted prompt is not computed"
    assert shape(h.step()) == [(0, 6, 1, 0), (1, 0, 0, 1), (2, 6, 1, 0)]
    h.scheduler.remove(lanes[0])
    h.scheduler.remove(lanes[2])
    assert not h.scheduler.has_unfinished()
    assert h.blocks.num_used == 0
    h.scheduler.check_integrity()


PROMPTS = [[7 * i + j for j in range(n)] for i, n in enumerate((3, 17, 1, 40, 33, 16, 8, 64, 2))]
PARAMS = [
    SamplingParams(max_tokens=1 + 3 * (i % 5), temperature=0.8 * (i % 2), seed=i)
    for i in range(len(PROMPTS))
]


@pytest.fixture(scope="module")
def continuous() -> list[list[int]]:
    return [o.token_ids for o in LLM("tiny", EngineConfig()).generate(PROMPTS, PARAMS)]


@pytest.mark.parametrize(
    "config",
    [
        {"batching": "padded"},
        {"batching": "padded", "enable_prefix_sharing": False, "enable_length_buckets": False},
        {"batching": "padded", "max_num_seqs": 3, "num_blocks": 16, "block_size": 8},
        {"batching": "bucketed", "bucket_edges": (4, 16), "bucket_wait": 0.0},
        {"batching": "bucketed", "bucket_wait": 0.01, "max_num_batched_tokens": 20},
    ],
)
def test_every_mode_gives_the_same_tokens(
    config: dict[str, Any], continuous: list[list[int]]
) -> None:
    llm = LLM("tiny", EngineConfig(**config))
    for _ in range(2):  # again with a warm prefix cache
        assert [o.token_ids for o in llm.generate(PROMPTS, PARAMS)] == continuous
        llm.check_integrity()


def test_padding_is_computed_and_counted() -> None:
    llm = LLM("tiny", EngineConfig(batching="padded", backend="numpy"))
    llm.generate([[1] * 4, [2] * 10], [SamplingParams(max_tokens=1), SamplingParams(max_tokens=3)])
    counts = llm.counters()
    assert counts["prefill_tokens"] == 14
    assert counts["decode_tokens"] == 2
    assert counts["useful_tokens"] == 16
    assert counts["padded_tokens"] == 6 + 2
    # Contexts 4 and 10, then 11 and 12; the ended lane sits at the context of its five tokens.
    assert counts["kv_tokens_read"] == 4 + 10 + 11 + 12
    assert counts["kv_tokens_padded"] == 6 + (11 + 12)
    assert counts["op_calls.embedding"] == counts["steps"] == 3
    # What had to be done is what continuous batching does.
    ragged = LLM("tiny", EngineConfig())
    ragged.generate(
        [[1] * 4, [2] * 10], [SamplingParams(max_tokens=1), SamplingParams(max_tokens=3)]
    )
    assert counts["model_flops"] == ragged.counters()["model_flops"]


def test_a_shared_prefix_survives_the_padding_beside_it() -> None:
    llm = LLM("tiny", EngineConfig(batching="padded", block_size=4))
    alone = LLM("tiny", EngineConfig(enable_prefix_sharing=False))
    first = [5, 6, 7, 8, 9, 10, 11, 12]
    llm.generate([first, [3] * 30], [SamplingParams(max_tokens=5), SamplingParams(max_tokens=20)])
    (again,) = llm.generate([[*first, 4]], SamplingParams(max_tokens=6))
    assert again.num_cached_tokens == 8
    assert (
        again.token_ids == alone.generate([[*first, 4]], SamplingParams(max_tokens=6))[0].token_ids
    )


def test_an_aborted_stream_leaves_the_rest_of_the_batch_unharmed() -> None:
    llm = LLM("tiny", EngineConfig(batching="padded"))
    params = SamplingParams(max_tokens=6)
    kept = llm.submit([1, 2, 3], params)
    ended = llm.submit([4, 5], params)
    llm.step()
    llm.abort(ended)
    llm.check_integrity()
    while llm.has_unfinished():
        llm.step()
    expected = LLM("tiny").generate([[1, 2, 3]], params)[0].token_ids
    assert llm.output(kept).token_ids == expected


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("batching", "padding", "did you mean 'padded'"),
        ("bucket_edges", (8, 4), "rising"),
        ("bucket_edges", (0,), "bucket_edges"),
        ("bucket_edges", 8, "list of prompt lengths"),
        ("bucket_wait", -1, "seconds"),
        ("bucket_wait", float("nan"), "seconds"),
    ],
)
def test_settings_out_of_range_say_what_to_give(key: str, value: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        EngineConfig(**{key: value})
