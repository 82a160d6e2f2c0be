"""A prompt asked again word for word is answered by the earlier output, and by nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from inference import LLM, EngineConfig, SamplingParams

GREEDY = SamplingParams(max_tokens=6)
PROMPT = [3, 1, 4, 1, 5]


@pytest.fixture(scope="module")
def llm() -> LLM:
    return LLM("tiny", EngineConfig(response_cache_tokens=100))


def asked(llm: LLM, params: SamplingParams, prompt: list[int] = PROMPT) -> tuple[Any, int, int]:
    """Return the output, and the steps and hits that it took."""
    llm.reset_counters()
    (output,) = llm.generate([prompt], params)
    counts = llm.counters()
    assert counts["response_cache_hits"] + counts["response_cache_misses"] <= 1
    return output, counts["steps"], counts["response_cache_hits"]


@pytest.mark.parametrize("params", [GREEDY, replace(GREEDY, temperature=0.9, seed=4)])
def test_an_equal_request_takes_no_step_and_has_the_same_output(
    llm: LLM, params: SamplingParams
) -> None:
    first, steps, _ = asked(llm, params)
    assert steps > 0
    again, steps, hits = asked(llm, params)
    assert (steps, hits) == (0, 1)
    assert again.token_ids == first.token_ids
    assert again.finish_reason == first.finish_reason
    assert again.timing.ttft is not None
    if params.temperature == 0.0:
        assert asked(llm, replace(params, seed=9))[2] == 1  # nothing is drawn
    events = list(llm.stream([PROMPT], params))
    assert [event.token_id for event in events] == first.token_ids
    assert events[-1].finish_reason == first.finish_reason
    llm.check_integrity()


def test_what_differs_or_is_drawn_anew_is_computed(llm: LLM) -> None:
    asked(llm, GREEDY)
    for params in (
        replace(GREEDY, max_tokens=5),
        replace(GREEDY, temperature=0.9, seed=77),
        replace(GREEDY, stop_token_ids=[9]),
    ):
        assert asked(llm, params)[2] == 0
    assert asked(llm, GREEDY, [*PROMPT, 1])[2] == 0
    for params in (replace(GREEDY, temperature=0.9), replace(GREEDY, logprobs=1)):
        for _ in range(2):
            _, steps, hits = asked(llm, params)
            assert steps > 0
            assert hits == llm.counters()["response_cache_misses"] == 0


def test_an_aborted_output_is_not_kept(llm: LLM) -> None:
    prompt = [8, 8, 8]
    request = llm.submit(prompt, GREEDY)
    llm.step()
    llm.abort(request)
    llm.output(request)
    assert asked(llm, GREEDY, prompt)[2] == 0


def test_the_least_recently_asked_makes_room() -> None:
    llm = LLM("tiny", EngineConfig(response_cache_tokens=25))  # two outputs of 11 tokens
    first, second, third = ([i] * 5 for i in range(3))
    for prompt in (first, second, first, third):
        asked(llm, GREEDY, prompt)
        assert llm._responses.num_tokens <= 25
    assert asked(llm, GREEDY, first)[2] == 1
    assert asked(llm, GREEDY, second)[2] == 0


def test_text_and_stop_strings_come_again(text_directory: Any) -> None:
    llm = LLM(text_directory, EngineConfig(response_cache_tokens=1000))
    free = llm.generate(["the cat"], SamplingParams(max_tokens=12, ignore_eos=True))[0]
    params = SamplingParams(max_tokens=12, ignore_eos=True, stop=[free.text[3:5]])
    first, again = (llm.generate(["the cat"], params)[0] for _ in range(2))
    assert (again.text, again.finish_reason, again.token_ids) == (
        first.text,
        "stop",
        first.token_ids,
    )
    assert llm.counters()["response_cache_hits"] == 1


def test_without_the_flag_nothing_is_kept() -> None:
    llm = LLM("tiny")
    for _ in range(2):
        assert asked(llm, GREEDY)[1] > 0
