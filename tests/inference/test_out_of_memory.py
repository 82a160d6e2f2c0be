"""A device that runs out of memory: the step is halved, and only what never fits is given up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from inference import LLM, EngineConfig, RequestFailed, SamplingParams

PROMPTS = [[1, 2, 3], [4] * 30, [7, 8], [9] * 17]
PARAMS = SamplingParams(max_tokens=6)


@pytest.fixture(scope="module")
def wanted() -> list[list[int]]:
    llm = LLM("tiny", EngineConfig(num_blocks=64))
    return [o.token_ids for o in llm.generate(PROMPTS, PARAMS)]


def starved(fits: Callable[[torch.Tensor], bool], **config: Any) -> tuple[LLM, list[int]]:
    """Return an engine that computes only tokens that fit, and the sizes it was asked for."""
    llm = LLM("tiny", EngineConfig(num_blocks=64, **config))
    forward = llm._runner.decoder.forward
    asked: list[int] = []

    def limited(tokens: torch.Tensor, *args: Any) -> torch.Tensor:
        asked.append(len(tokens))
        if not fits(tokens):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return forward(tokens, *args)

    llm._runner.decoder.forward = limited
    return llm, asked


@pytest.mark.parametrize("overlap", [False, True])
@pytest.mark.parametrize("limit", [1, 3, 16])
def test_a_step_too_large_runs_in_parts(overlap: bool, limit: int, wanted: list[list[int]]) -> None:
    llm, asked = starved(lambda tokens: len(tokens) <= limit, enable_overlap=overlap)
    outputs = llm.generate(PROMPTS, PARAMS)
    assert [o.token_ids for o in outputs] == wanted
    assert max(asked) == 3 + 30 + 2 + 17
    counters = llm.counters()
    assert counters["prefill_tokens"] == 3 + 30 + 2 + 17
    assert counters["decode_tokens"] == 4 * 5
    assert counters["steps"] == sum(size <= limit for size in asked)
    llm.check_integrity()
    assert llm._blocks.num_used == 0


@pytest.mark.parametrize("overlap", [False, True])
def test_only_the_request_that_alone_does_not_fit_fails(
    overlap: bool, wanted: list[list[int]]
) -> None:
    llm, _ = starved(lambda tokens: 4 not in tokens, enable_overlap=overlap)
    outputs = llm.generate(PROMPTS, PARAMS)
    assert [o.finish_reason for o in outputs] == ["length", "error", "length", "length"]
    assert outputs[1].token_ids == []
    assert outputs[1].error is not None
    assert outputs[1].error.startswith(
        "OutOfMemoryError: the device has no memory left to compute one token of this request at "
        "position 0; lower kv_cache_bytes or max_model_len: CUDA out of memory."
    )
    for i in (0, 2, 3):
        assert outputs[i].token_ids == wanted[i]
    llm.check_integrity()
    assert llm._blocks.num_used == 0


@pytest.mark.parametrize("overlap", [False, True])
def test_a_request_that_outgrows_the_memory_keeps_its_tokens(
    overlap: bool, wanted: list[list[int]]
) -> None:
    # The third token of the first request is the first that does not fit.
    stop = wanted[0][2]
    assert not any(stop in prompt for prompt in PROMPTS)
    assert not any(stop in tokens for tokens in wanted[1:])
    llm, _ = starved(lambda tokens: stop not in tokens, enable_overlap=overlap)
    outputs = llm.generate(PROMPTS, PARAMS)
    assert (outputs[0].finish_reason, outputs[0].token_ids) == ("error", wanted[0][:3])
    assert [o.token_ids for o in outputs[1:]] == wanted[1:]
    assert llm._blocks.num_used == 0


def test_a_stream_names_the_request_once_the_others_have_ended(wanted: list[list[int]]) -> None:
    llm, _ = starved(lambda tokens: 4 not in tokens)
    events = []
    with pytest.raises(RequestFailed, match="request 1: OutOfMemoryError"):
        for event in llm.stream(PROMPTS, PARAMS):
            events.append(event)
    for i in (0, 2, 3):
        assert [e.token_id for e in events if e.request == i] == wanted[i]


def test_padding_is_given_up_before_a_request(wanted: list[list[int]]) -> None:
    llm, _ = starved(lambda tokens: len(tokens) <= 30, batching="padded")
    assert [o.token_ids for o in llm.generate(PROMPTS, PARAMS)] == wanted


def test_other_errors_are_not_taken_for_a_lack_of_memory() -> None:
    llm, _ = starved(lambda _: 1 / 0 > 0)
    with pytest.raises(ZeroDivisionError):
        llm.generate(PROMPTS, PARAMS)
