"""One step enqueued ahead of the one being read: the same tokens, and nothing wasted but by stops."""

from __future__ import annotations

import functools
import math
from typing import Any

import pytest

from inference import (
    LLM,
    ConfigError,
    EngineClosed,
    EngineConfig,
    RequestFailed,
    SamplingParams,
)
from inference.scheduler import Step

PROMPTS = [[1, 2, 3], [4] * 30, [7, 8], [9] * 17]


def engine(*, overlap: bool, **config: Any) -> LLM:
    return LLM("tiny", EngineConfig(**{"num_blocks": 128, "enable_overlap": overlap, **config}))


def both(prompts: list[list[int]], params: Any, **config: Any) -> tuple[LLM, LLM]:
    """Run the same on an engine with overlap and on one without; the outputs must be equal."""
    engines = engine(overlap=True, **config), engine(overlap=False, **config)
    ahead, plain = (
        [(o.token_ids, o.finish_reason) for o in llm.generate(prompts, params)] for llm in engines
    )
    assert ahead == plain
    for llm in engines:
        llm.check_integrity()
        assert llm._blocks.num_used == 0
    return engines


@pytest.mark.parametrize("temperature", [0.0, 1.5])
@pytest.mark.parametrize("chunk", [None, 1, 8])
def test_the_same_tokens_with_and_without(temperature: float, chunk: int | None) -> None:
    params = [SamplingParams(max_tokens=n, temperature=temperature, seed=n) for n in (9, 1, 2, 14)]
    both(PROMPTS, params, prefill_chunk_size=chunk)


def test_lengths_are_known_ahead_so_nothing_is_computed_in_vain() -> None:
    params = [SamplingParams(max_tokens=n) for n in (9, 1, 2, 14)]
    ahead, plain = (llm.counters() for llm in both(PROMPTS, params))
    assert ahead == plain


def stop_after(index: int, **more: Any) -> SamplingParams:
    free = plain_tokens()
    return SamplingParams(max_tokens=20, stop_token_ids=[free[index]], **more)


@functools.cache
def plain_tokens() -> list[int]:
    return engine(overlap=False).generate([PROMPTS[0]], SamplingParams(max_tokens=20))[0].token_ids


def test_a_stop_is_learnt_a_step_late_and_its_extra_token_is_thrown_away() -> None:
    free = plain_tokens()
    at = free.index(free[6])
    ahead, plain = (llm.counters() for llm in both(PROMPTS[:1], stop_after(6)))
    assert plain["decode_tokens"] == at
    assert ahead["decode_tokens"] == at + 1
    assert ahead["tokens_generated"] == plain["tokens_generated"] == at + 1


def test_a_stop_with_the_last_token_of_all_costs_nothing() -> None:
    free = plain_tokens()
    at = free.index(free[6])
    params = SamplingParams(max_tokens=at + 1, stop_token_ids=[free[6]])
    ahead, plain = (llm.counters() for llm in both(PROMPTS[:1], params))
    assert ahead == plain


def test_too_little_cache_preempts_and_still_gives_the_same_tokens() -> None:
    prompts = [[i] * 12 for i in range(1, 6)]
    params = [SamplingParams(max_tokens=20, temperature=t, seed=3) for t in (0, 1, 0, 1, 0)]
    for sharing in (True, False):
        ahead, _ = both(prompts, params, block_size=4, num_blocks=10, enable_prefix_sharing=sharing)
        assert ahead.counters()["preemptions"] > 0


def test_stops_under_memory_pressure() -> None:
    prompts = [[i] * 12 for i in range(1, 9)]
    free = engine(overlap=False).generate(prompts, SamplingParams(max_tokens=20))
    params = [
        SamplingParams(max_tokens=20, stop_token_ids=[o.token_ids[i]]) for i, o in enumerate(free)
    ]
    ahead, _ = both(prompts, params, block_size=4, num_blocks=12)
    assert ahead.counters()["preemptions"] > 0


def test_a_step_hands_over_the_tokens_of_the_one_before() -> None:
    llm = engine(overlap=True)
    request = llm.submit([1, 2], SamplingParams(max_tokens=2))
    counts = []
    while llm.has_unfinished():
        counts.append(len(llm.step()))
    assert counts == [0, 1, 1]
    assert llm.counters()["steps"] == 2
    assert llm.output(request).finish_reason == "length"


def test_an_output_watched_while_its_next_token_is_under_way_has_only_known_tokens() -> None:
    llm = engine(overlap=True)
    request = llm.submit([1, 2, 3], SamplingParams(max_tokens=20))
    for seen in range(4):
        llm.step()
        assert llm.output(request).token_ids == plain_tokens()[:seen]


def test_an_abort_drops_what_is_under_way() -> None:
    llm = engine(overlap=True)
    gone = llm.submit([1, 2, 3], SamplingParams(max_tokens=20))
    other = llm.submit([4] * 30, SamplingParams(max_tokens=6))
    for _ in range(3):
        llm.step()
    assert llm.abort(gone)
    while llm.has_unfinished():
        llm.step()
    llm.check_integrity()
    assert llm.output(gone).token_ids == plain_tokens()[:2]
    alone = engine(overlap=False).generate([[4] * 30], SamplingParams(max_tokens=6))[0]
    assert llm.output(other).token_ids == alone.token_ids
    assert llm._blocks.num_used == 0


def test_logits_that_are_not_finite_end_one_request_while_its_next_row_is_under_way() -> None:
    llm = engine(overlap=True)
    logits = llm._runner.decoder.logits
    calls = []

    def spoiled(hidden: Any) -> Any:
        calls.append(len(hidden))
        out = logits(hidden)
        if len(calls) == 3:
            out[0] = float("nan")  # the shortest context comes first
        return out

    llm._runner.decoder.logits = spoiled
    outputs = llm.generate([[1, 2, 3], [4] * 30], SamplingParams(max_tokens=6))
    assert [o.finish_reason for o in outputs] == ["error", "length"]
    assert outputs[0].token_ids == plain_tokens()[:2]
    assert calls == [2, 2, 2, 2, 1, 1]
    alone = engine(overlap=False).generate([[4] * 30], SamplingParams(max_tokens=6))[0]
    assert outputs[1].token_ids == alone.token_ids


def test_a_failing_step_delivers_the_one_before_it() -> None:
    llm = engine(overlap=True)
    forward = llm._runner.decoder.forward
    calls = iter(range(100))
    llm._runner.decoder.forward = lambda *args: forward(*args) if next(calls) != 2 else 1 / 0
    request = llm.submit([1, 2, 3], SamplingParams(max_tokens=6))
    llm.step()
    llm.step()
    with pytest.raises(ZeroDivisionError):
        llm.step()
    output = llm.output(request)
    assert (output.finish_reason, output.error) == ("error", "ZeroDivisionError: division by zero")
    assert output.token_ids == plain_tokens()[:2], "two steps were whole"
    llm.check_integrity()
    tokens = llm.generate([[1, 2, 3]], SamplingParams(max_tokens=6))[0].token_ids
    assert tokens == plain_tokens()[:6]


def test_streams_and_their_errors() -> None:
    llm = engine(overlap=True)
    events = list(llm.stream(PROMPTS, SamplingParams(max_tokens=4)))
    plain = engine(overlap=False).generate(PROMPTS, SamplingParams(max_tokens=4))
    for i, output in enumerate(plain):
        assert [e.token_id for e in events if e.request == i] == output.token_ids
    llm._runner.weights.norm.fill_(float("nan"))
    with pytest.raises(RequestFailed, match="request 0: the model's logits were not finite"):
        list(llm.stream([[1, 2]]))
    assert not llm._requests


def test_overlap_is_off_on_a_cpu_unless_asked_for() -> None:
    assert not LLM("tiny", EngineConfig(device="cpu", num_blocks=4)).describe()["overlap"]
    assert engine(overlap=True).describe()["overlap"]
    with pytest.raises(ConfigError, match="enable_overlap needs batching='continuous'"):
        EngineConfig(enable_overlap=True, batching="padded")
    with pytest.raises(ConfigError, match="enable_overlap is 'yes'"):
        EngineConfig(enable_overlap="yes")  # type: ignore[arg-type]


def test_blocks_are_shared_once_their_tokens_are_known_to_be_finite(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    llm = engine(overlap=False, block_size=4)
    prompt, params = list(range(1, 20)), SamplingParams(max_tokens=4)
    logits = llm._runner.decoder.logits
    monkeypatch.setattr(llm._runner.decoder, "logits", lambda hidden: logits(hidden) * math.nan)
    assert llm.generate([prompt], params)[0].finish_reason == "error"
    monkeypatch.undo()
    first, second = (llm.generate([prompt], params)[0] for _ in range(2))
    assert (first.num_cached_tokens, second.num_cached_tokens) == (0, 16)
    assert first.token_ids == second.token_ids


def test_a_chunked_prompt_is_shared_with_its_last_chunk() -> None:
    llm = engine(overlap=False, block_size=4, prefill_chunk_size=5)
    prompt, params = list(range(1, 20)), SamplingParams(max_tokens=2)
    outputs = [llm.generate([prompt], params)[0] for _ in range(2)]
    assert [o.num_cached_tokens for o in outputs] == [0, 16]


class Part:
    """A enqueued step, or a part of one, whose tokens do not come."""

    def __init__(self, step: Any, *, fails: bool) -> None:
        self.step, self.fails = step, fails
        self.sampled = list(step.requests)
        self.num_lanes = step.num_tokens
        self.num_kv_read = step.num_tokens
        self.logprobs: list[Any] = []
        for request in self.sampled:
            request.num_pending += 1

    def tokens(self) -> list[int]:
        if self.fails:
            raise RuntimeError("a part failed")
        return [7] * len(self.sampled)


def test_a_part_that_fails_takes_no_others_requests_along(monkeypatch: pytest.MonkeyPatch) -> None:
    llm = engine(overlap=False)
    ids = [llm.submit([i + 1], SamplingParams(max_tokens=1)) for i in range(3)]

    def in_parts(runner: Any, step: Any) -> Any:
        parts = [Step.of([chunk]) for chunk in step.chunks]
        return [Part(part, fails=not i) for i, part in enumerate(parts)], {}

    monkeypatch.setattr("inference.pipeline._enqueue", in_parts)
    with pytest.raises(RuntimeError, match="a part failed"):
        llm.step()
    assert [llm.output(i).finish_reason for i in ids] == ["error", "length", "length"]
    llm.check_integrity()


def test_an_engine_whose_device_is_lost_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    llm = engine(overlap=False)
    request = llm.submit([1, 2], SamplingParams(max_tokens=3))

    def fails(*_: Any) -> Any:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(llm._runner, "_enqueue", fails)
    monkeypatch.setattr(llm._runner, "is_alive", lambda: False)
    with pytest.raises(RuntimeError, match="illegal memory access"):
        llm.step()
    assert llm.output(request).finish_reason == "error"
    with pytest.raises(EngineClosed, match=r"the device failed \(.*illegal.*start a new process"):
        llm.generate([[1]])
