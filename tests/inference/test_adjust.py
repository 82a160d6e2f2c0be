"""Penalties, least lengths, min-p and log probabilities, against transformers or their formula."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from inference import LLM, EngineConfig, SamplingParams
from inference.adjust import adjust
from inference.request import Request
from tests.inference.conftest import NUM_OUTPUT


@pytest.fixture(scope="module")
def hub(oracle: Any) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(oracle("llama").directory).eval()


def theirs(hub: Any, prompt: list[int], **options: Any) -> list[int]:
    out = hub.generate(
        torch.tensor([prompt]),
        do_sample=False,
        max_new_tokens=NUM_OUTPUT,
        pad_token_id=0,
        **options,
    )
    return out[0, len(prompt) :].tolist()


@pytest.mark.parametrize("penalty", [1.4, 0.7])
@pytest.mark.parametrize("backend", ["reference", "numpy", "compiled"])
def test_repetition_penalty_is_transformers(
    oracle: Any, hub: Any, penalty: float, backend: str
) -> None:
    case = oracle("llama")
    llm = LLM(case.directory, EngineConfig(backend=backend))
    params = SamplingParams(max_tokens=NUM_OUTPUT, repetition_penalty=penalty)
    # Beside requests that ask for nothing, whose tokens must not change.
    mixed = [params, SamplingParams(max_tokens=NUM_OUTPUT)] * 5
    outputs = llm.generate(case.prompts, mixed)
    for i, (prompt, output) in enumerate(zip(case.prompts, outputs, strict=True)):
        plain = case.expected[i]
        wanted = plain if i % 2 else theirs(hub, prompt, repetition_penalty=penalty)
        assert output.token_ids == wanted
    assert any(o.token_ids != e for o, e in zip(outputs[::2], case.expected[::2], strict=True))


def test_min_tokens_puts_the_end_off_as_min_new_tokens_does(oracle: Any, hub: Any) -> None:
    case = oracle("llama")
    prompt, free = case.prompts[3], case.expected[3]
    end = free[2]
    llm = LLM(case.directory)
    short = llm.generate([prompt], SamplingParams(max_tokens=NUM_OUTPUT, stop_token_ids=[end]))[0]
    assert short.token_ids == free[: free.index(end) + 1]
    params = SamplingParams(max_tokens=NUM_OUTPUT, stop_token_ids=[end], min_tokens=8)
    output = llm.generate([prompt], params)[0]
    assert output.token_ids == theirs(hub, prompt, eos_token_id=end, min_new_tokens=8)
    assert end not in output.token_ids[:8]


def request_of(tokens: list[int], num_prompt: int, **params: Any) -> Request:
    return Request(0, tokens, num_prompt, 99, SamplingParams(**params), 0, 0)


def test_presence_and_frequency_count_the_output_alone() -> None:
    request = request_of([1, 1, 2, 3, 3, 3], 2, presence_penalty=0.5, frequency_penalty=0.25)
    logits = torch.zeros(2, 6)
    adjusted = adjust(logits, [1], [request, request], ())
    assert adjusted[1].tolist() == [0, 0, -0.75, -1.25, 0, 0]
    assert not adjusted[0].any()
    assert not logits.any()


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_min_p_keeps_what_transformers_keeps(temperature: float) -> None:
    from transformers import MinPLogitsWarper

    logits = torch.randn(1, 200, generator=torch.Generator().manual_seed(3)) * 3
    request = request_of([1], 1, temperature=temperature, min_p=0.05)
    kept = adjust(logits, [0], [request], ()).isfinite()
    expected = MinPLogitsWarper(0.05)(torch.tensor([[1]]), logits / temperature).isfinite()
    assert torch.equal(kept, expected)
    assert 1 < kept.sum() < 200


@pytest.mark.parametrize("overlap", [False, True])
def test_logprobs_are_the_models_own(oracle: Any, hub: Any, overlap: bool) -> None:
    case = oracle("llama")
    llm = LLM(case.directory, EngineConfig(enable_overlap=overlap, backend="reference"))
    params = SamplingParams(
        max_tokens=NUM_OUTPUT, temperature=1.3, seed=5, repetition_penalty=1.2, logprobs=3
    )
    output = llm.generate([case.prompts[3]], params)[0]
    tokens = torch.tensor([[*case.prompts[3], *output.token_ids]])
    with torch.no_grad():
        logits = hub(tokens).logits[0, len(case.prompts[3]) - 1 : -1]
    expected = logits.log_softmax(dim=-1)
    assert output.logprobs is not None
    assert len(output.logprobs) == len(output.token_ids) == NUM_OUTPUT
    for row, token, got in zip(expected, output.token_ids, output.logprobs, strict=True):
        assert math.isclose(got.logprob, float(row[token]), abs_tol=1e-4)
        values, ids = row.topk(3)
        assert [i for i, _ in got.top] == ids.tolist()
        assert torch.allclose(torch.tensor([v for _, v in got.top]), values, atol=1e-4)
    assert llm.generate([case.prompts[3]], SamplingParams(max_tokens=2))[0].logprobs is None


def test_overlapping_steps_know_the_tokens_they_look_at(oracle: Any) -> None:
    case = oracle("llama")
    params = SamplingParams(max_tokens=NUM_OUTPUT, repetition_penalty=1.4)
    mixed = [params, SamplingParams(max_tokens=NUM_OUTPUT)] * 5
    plain, overlapped = (
        [
            output.token_ids
            for output in LLM(
                case.directory, EngineConfig(enable_overlap=overlap, backend="reference")
            ).generate(case.prompts, mixed)
        ]
        for overlap in (False, True)
    )
    assert overlapped == plain
