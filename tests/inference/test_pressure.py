"""More asked for than there is memory: nobody is lost, and what cannot be served is told so."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from inference import LLM, CacheTooSmall, EngineConfig, PromptError, SamplingParams

NUM_REQUESTS = 100
# 24 positions are kept of each request: three blocks of eight.
PROMPTS = [[(13 * i + j) % 512 for j in range(5 + i % 8)] for i in range(NUM_REQUESTS)]
PARAMS = [
    SamplingParams(max_tokens=25 - len(prompt), temperature=float(i % 2), seed=i)
    for i, prompt in enumerate(PROMPTS)
]
TEN_REQUESTS = {"block_size": 8, "num_blocks": 30, "max_num_seqs": NUM_REQUESTS}


@pytest.fixture(scope="module")
def roomy() -> list[list[int]]:
    llm = LLM("tiny", EngineConfig(block_size=8, max_num_seqs=NUM_REQUESTS))
    tokens = [o.token_ids for o in llm.generate(PROMPTS, PARAMS)]
    assert llm.counters()["preemptions"] == 0
    return tokens


@pytest.mark.parametrize("batching", ["continuous", "bucketed", "padded"])
def test_a_hundred_requests_on_a_cache_for_ten_all_end_with_the_same_tokens(
    batching: str, roomy: list[list[int]]
) -> None:
    llm = LLM("tiny", EngineConfig(batching=batching, **TEN_REQUESTS))
    outputs = llm.generate(PROMPTS, PARAMS)
    assert [o.token_ids for o in outputs] == roomy
    assert {o.finish_reason for o in outputs} == {"length"}
    counts = llm.counters()
    assert counts["requests_finished"] == NUM_REQUESTS
    assert counts["peak_blocks_used"] <= 30
    assert (counts["preemptions"] > 0) == (batching == "continuous")
    llm.check_integrity()


@pytest.fixture
def busy() -> Iterator[tuple[LLM, list[int]]]:
    """Yield an engine with three requests under way; see them end unharmed."""
    llm = LLM("tiny", EngineConfig(max_model_len=40, **TEN_REQUESTS))
    params = SamplingParams(max_tokens=12)
    prompts = [[1, 2, 3], [4] * 9, [5, 6]]
    running = [llm.submit(prompt, params) for prompt in prompts]
    llm.step()
    yield llm, running
    while llm.has_unfinished():
        llm.step()
    expected = [o.token_ids for o in LLM("tiny").generate(prompts, params)]
    assert [llm.output(request).token_ids for request in running] == expected
    assert llm.counters()["requests_submitted"] == 3, "a refused request leaves no trace"


def test_a_prompt_over_the_context_is_refused_and_no_other_is_harmed(
    busy: tuple[LLM, list[int]],
) -> None:
    llm, _ = busy
    with pytest.raises(PromptError, match="the prompt has 40 tokens and the context holds 40"):
        llm.submit([1] * 40)


def test_a_request_over_the_whole_cache_is_refused_and_no_other_is_harmed(
    busy: tuple[LLM, list[int]],
) -> None:
    llm, _ = busy
    small = LLM("tiny", EngineConfig(block_size=8, num_blocks=3))
    kept = small.submit([7, 8], SamplingParams(max_tokens=4))
    with pytest.raises(CacheTooSmall, match=r"need 4 blocks of 8, and the cache has 3; raise"):
        small.submit([1] * 20, SamplingParams(max_tokens=6))
    while small.has_unfinished():
        small.step()
    assert len(small.output(kept).token_ids) == 4
    # The largest that still fits runs alone: 24 positions, the last token needs none.
    assert len(small.generate([[1] * 20], SamplingParams(max_tokens=5))[0].token_ids) == 5
    llm.step()


def test_ten_turns_find_exactly_the_blocks_of_the_turns_before() -> None:
    size = 4
    llm = LLM("tiny", EngineConfig(block_size=size))
    fresh = LLM("tiny", EngineConfig(block_size=size, enable_prefix_sharing=False))
    params = SamplingParams(max_tokens=6)
    history: list[int] = []
    for turn in range(10):
        prompt = [*history, *range(10 * turn, 10 * turn + 5)]
        llm.reset_counters()
        (out,) = llm.generate([prompt], params)
        # All full blocks of what was computed: the last token handed out never was.
        found = (len(history) - 1) // size * size if history else 0
        assert out.num_cached_tokens == llm.counters()["prefix_hit_tokens"] == found
        assert llm.counters()["prefill_tokens"] == len(prompt) - found
        assert out.token_ids == fresh.generate([prompt], params)[0].token_ids
        history = prompt + out.token_ids


def test_the_conversation_least_recently_used_is_the_one_forgotten() -> None:
    # Eight blocks of four hold two conversations of fifteen positions.
    llm = LLM("tiny", EngineConfig(block_size=4, num_blocks=8))
    params = SamplingParams(max_tokens=4)

    def turn(first: int) -> int:
        (out,) = llm.generate([[first] * 12], params)
        return out.num_cached_tokens

    assert [turn(1), turn(2)] == [0, 0]
    assert turn(1) == 8, "still there, and used again"
    assert turn(3) == 0, "takes two blocks nobody can share, and two of 2 from its tail"
    assert turn(1) == 8
    assert turn(2) == 4
    llm.check_integrity()
