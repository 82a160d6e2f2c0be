"""What a step of every kind of chunk counts as."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from inference.config import SamplingParams
from inference.presets import preset
from inference.request import Request
from inference.roofline import CostModel
from inference.scheduler import Chunk, Step
from inference.work import WorkCounters

COST = CostModel(preset("tiny"), weight_itemsize=4, kv_itemsize=4)


def counts_of(chunks: list[Chunk], *, num_lanes: int, num_sampled: int) -> dict[str, int]:
    work = WorkCounters(COST)
    enqueued = SimpleNamespace(
        step=Step.of(chunks),
        num_lanes=num_lanes,
        num_kv_read=sum(chunk.start + chunk.width for chunk in chunks),
        sampled=[None] * num_sampled,
    )
    work.add(cast(Any, enqueued))
    return {c.name: getattr(work, c.name) for c in work.COUNTERS}


def request(num_prompt: int, num_output: int) -> Request:
    tokens = [1] * (num_prompt + num_output)
    return Request(0, tokens, num_prompt, 99, SamplingParams(), 0, 0)


def test_only_a_generated_token_by_itself_is_a_decode() -> None:
    chunks = [
        Chunk(request(5, 3), 7, 1),
        Chunk(request(5, 0), 4, 1),  # the end of a prompt
        Chunk(request(2, 9), 4, 3),  # output of a preempted request, computed again
        Chunk(request(8, 0), 0, 6),
    ]
    counts = counts_of(chunks, num_lanes=11, num_sampled=2)
    assert counts["decode_tokens"] == 1
    assert counts["prefill_tokens"] == 10
    assert counts["useful_tokens"] == 11
    assert counts["kv_tokens_read"] == 8 + 5 + 7 + 6
    assert counts["padded_tokens"] == counts["kv_tokens_padded"] == 0


def test_an_ended_lane_is_padding_and_samples_nothing_of_use() -> None:
    live, ended = Chunk(request(5, 3), 7, 1), Chunk(request(5, 1), 5, 0, padding=1)
    counts = counts_of([live, ended], num_lanes=2, num_sampled=2)
    alone = counts_of([live], num_lanes=1, num_sampled=1)
    assert (counts["padded_tokens"], counts["kv_tokens_padded"]) == (1, 6)
    assert {**counts, "padded_tokens": 0, "kv_tokens_padded": 0} == alone
