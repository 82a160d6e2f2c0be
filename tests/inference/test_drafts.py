"""Guessed tokens change how many steps an output takes, and never the output."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference import LLM, ConfigError, EngineConfig, SamplingParams
from inference.drafts import DraftModel, PromptLookup, accepted
from tests.inference.conftest import NUM_OUTPUT, VOCAB


def slow_guess(tokens: list[int], most: int) -> list[int]:
    """What followed the latest earlier place of the last three tokens, else of the last two."""
    for size in (3, 2):
        for at in range(len(tokens) - 1, size - 1, -1):
            if len(tokens) >= size and tokens[at - size : at] == tokens[-size:]:
                return tokens[at : at + most]
    return []


@settings(deadline=None)
@given(st.lists(st.integers(0, 3), max_size=40), st.integers(1, 5))
def test_a_guess_is_what_followed_last_time(tokens: list[int], most: int) -> None:
    lookup = PromptLookup()
    for end in range(len(tokens) + 1):
        assert lookup.guess(tokens[:end], most) == slow_guess(tokens[:end], most)


@pytest.mark.parametrize(
    ("guesses", "sampled", "count"),
    [([], [5], 1), ([5], [5, 6], 2), ([5], [4, 6], 1), ([5, 6, 7], [5, 9, 7, 8], 2)],
)
def test_guesses_count_up_to_the_first_wrong_one(
    guesses: list[int], sampled: list[int], count: int
) -> None:
    assert accepted(guesses, sampled) == count


def run(directory: Any, prompts: Any, params: Any, **config: Any) -> tuple[list[Any], Any]:
    llm = LLM(directory, EngineConfig(block_size=4, **config))
    outputs = llm.generate(prompts, params)
    llm.check_integrity()
    assert llm._blocks.num_used == 0
    return [(o.token_ids, o.finish_reason) for o in outputs], llm.counters()


@pytest.fixture
def guesses(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function after which guesses are right in three places of four.

    A small random model says nothing twice, so there is nothing to look up.
    """

    def know(prompts: list[list[int]], outputs: list[Any]) -> None:
        texts = [[*p, *tokens] for p, (tokens, _) in zip(prompts, outputs, strict=True)]

        def guess(self: PromptLookup, tokens: list[int], most: int) -> list[int]:
            for text in texts:
                if text[: len(tokens)] == tokens:
                    places = range(len(tokens), min(len(tokens) + most, len(text)))
                    return [text[i] if i % 4 else (text[i] + 1) % VOCAB for i in places]
            return [0]

        monkeypatch.setattr(PromptLookup, "guess", guess)

    return know


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("backend", ["reference", "numpy", "compiled"])
def test_the_output_is_the_same(
    oracle: Any, guesses: Any, temperature: float, backend: str
) -> None:
    case = oracle("llama")
    params = [
        SamplingParams(max_tokens=40 + i, temperature=temperature, seed=i)
        for i in range(len(case.prompts))
    ]
    plain, before = run(case.directory, case.prompts, params, backend=backend)
    guesses(case.prompts, plain)
    drafted, after = run(
        case.directory, case.prompts, params, backend=backend, enable_prompt_lookup=True
    )
    assert drafted == plain
    assert after["tokens_generated"] == before["tokens_generated"]
    assert after["prefill_tokens"] == before["prefill_tokens"]
    saved = before["decode_tokens"] - after["decode_tokens"]
    assert saved == after["draft_tokens_accepted"] < after["draft_tokens"]
    assert saved > before["decode_tokens"] / 2
    assert after["steps"] < before["steps"] / 2


@pytest.mark.parametrize(
    "config",
    [
        {"num_blocks": 20},
        {"max_num_batched_tokens": 6},
        {"max_num_seqs": 2, "max_draft_tokens": 9},
        {"enable_prefix_sharing": False, "prefill_chunk_size": 5},
    ],
    ids=str,
)
def test_no_setting_changes_a_token(oracle: Any, guesses: Any, config: dict[str, Any]) -> None:
    case = oracle("qwen2")
    params = SamplingParams(max_tokens=30)
    plain, _ = run(case.directory, case.prompts, params)
    guesses(case.prompts, plain)
    got, counters = run(case.directory, case.prompts, params, enable_prompt_lookup=True, **config)
    assert got == plain
    assert counters["draft_tokens_accepted"] > 50


def test_a_stop_among_accepted_guesses_ends_the_output_there(oracle: Any, guesses: Any) -> None:
    case = oracle("llama")
    prompts = case.prompts[3:4]
    free, _ = run(case.directory, prompts, SamplingParams(max_tokens=40))
    guesses(prompts, free)
    tokens = free[0][0]
    for at in range(5, 40, 3):
        params = SamplingParams(max_tokens=40, stop_token_ids=[tokens[at]])
        (got,), _ = run(case.directory, prompts, params, enable_prompt_lookup=True)
        assert got == (tokens[: tokens.index(tokens[at]) + 1], "stop")


def test_blocks_shared_after_guesses_hold_what_was_accepted(oracle: Any, guesses: Any) -> None:
    case = oracle("llama")
    prompt, params = case.prompts[3], SamplingParams(max_tokens=30)
    plain, _ = run(case.directory, [prompt], params)
    guesses([prompt], plain)
    llm = LLM(case.directory, EngineConfig(block_size=4, enable_prompt_lookup=True))
    first = llm.generate([prompt], params)[0]
    # The whole conversation so far as a new prompt: its blocks are found, and are right.
    longer = [[*prompt, *first.token_ids, 1]]
    again = llm.generate(longer, params)[0]
    assert again.num_cached_tokens > len(prompt) + 20
    alone, _ = run(case.directory, longer, params)
    assert again.token_ids == alone[0][0]


def test_requests_that_look_at_logits_guess_nothing(oracle: Any) -> None:
    case = oracle("llama")
    params = SamplingParams(max_tokens=NUM_OUTPUT, repetition_penalty=1.2)
    plain, _ = run(case.directory, case.prompts, params)
    got, counters = run(case.directory, case.prompts, params, enable_prompt_lookup=True)
    assert got == plain
    assert counters["draft_tokens"] == 0


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize(
    "config",
    [{}, {"num_blocks": 24, "max_draft_tokens": 2}, {"max_num_batched_tokens": 6}],
    ids=str,
)
def test_a_draft_model_saves_steps_and_changes_no_token(
    oracle: Any, temperature: float, config: dict[str, Any]
) -> None:
    case = oracle("llama")
    params = [
        SamplingParams(max_tokens=20 + i, temperature=temperature, seed=i)
        for i in range(len(case.prompts))
    ]
    plain, before = run(case.directory, case.prompts, params)
    drafts = {"draft_model": "self", "draft_quantization": "int8"}
    drafted, after = run(case.directory, case.prompts, params, **drafts, **config)
    assert drafted == plain
    # The same weights in fewer bits, drawn with the same seeds: most guesses are right.
    assert after["draft_tokens_accepted"] > 0.7 * after["draft_tokens"] > 0
    if not config:
        assert after["steps"] < before["steps"] / 2


def test_a_draft_model_of_another_vocabulary_or_context_is_refused(oracle: Any) -> None:
    directory = oracle("llama").directory
    with pytest.raises(ConfigError, match=r"draft_model: tiny has a vocabulary of 512 .* of 160"):
        LLM(directory, EngineConfig(draft_model="tiny"))
    with (
        LLM(directory) as draft,
        pytest.raises(ConfigError, match=r"a context of 256 tokens, the model one of 300"),
    ):
        DraftModel(draft, vocab_size=VOCAB, max_model_len=300)


def test_a_closed_engine_frees_its_draft_model(oracle: Any) -> None:
    case = oracle("llama")
    drafts = {"draft_model": "self", "draft_quantization": "int8"}
    llm = LLM(case.directory, EngineConfig(**drafts))
    draft = llm._drafter._llm
    llm.close()
    assert draft._runner is None


@pytest.mark.parametrize("other", [{"enable_overlap": True}, {"batching": "padded"}])
@pytest.mark.parametrize("key", ["enable_prompt_lookup", "draft_model"])
def test_what_does_not_go_together_is_refused(key: str, other: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"{key} needs"):
        EngineConfig(**{key: True if key.startswith("enable") else "tiny"}, **other)


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ({"enable_prompt_lookup": True, "draft_model": "tiny"}, "not both"),
        ({"draft_quantization": "int8"}, "needs a draft_model"),
        ({"draft_model": "self"}, "other than the model's own"),
        ({"draft_model": "tiny", "draft_quantization": "int9"}, "'int8'"),
    ],
)
def test_a_draft_model_is_asked_for_in_full(config: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        EngineConfig(**config)
