"""Generating, streaming, stepping by hand: what comes out, when, and how it ends."""

from __future__ import annotations

import copy
import itertools
import math
import pickle
import time
from typing import Any

import pytest

from inference import (
    LLM,
    EngineConfig,
    RequestFailed,
    RequestNotFound,
    SamplingParams,
    Timing,
    TokenEvent,
)


@pytest.fixture
def llm() -> LLM:
    return LLM("tiny", EngineConfig(num_blocks=128))


PROMPTS = [[1, 2, 3], [4] * 30, [7, 8]]


def test_outputs_come_in_the_order_of_the_prompts(llm: LLM) -> None:
    params = [SamplingParams(max_tokens=n) for n in (9, 1, 4)]
    outputs = llm.generate(PROMPTS, params)
    assert [len(o.token_ids) for o in outputs] == [9, 1, 4]
    assert [o.num_prompt_tokens for o in outputs] == [3, 30, 2]
    assert {o.finish_reason for o in outputs} == {"length"}
    assert {o.text for o in outputs} == {None}
    assert {o.error for o in outputs} == {None}
    for prompt, own, output in zip(PROMPTS, params, outputs, strict=True):
        assert llm.generate([prompt], own)[0].token_ids == output.token_ids


def test_no_prompts_no_outputs(llm: LLM) -> None:
    assert llm.generate([]) == []
    assert list(llm.stream([])) == []
    assert llm.step() == []


def test_the_context_ends_an_output(llm: LLM) -> None:
    short = LLM("tiny", EngineConfig(max_model_len=10, num_blocks=16))
    output = short.generate([[1, 2, 3]], SamplingParams(max_tokens=50))[0]
    assert output.finish_reason == "length"
    assert len(output.token_ids) == 7
    long = llm.generate([[1, 2, 3]], SamplingParams(max_tokens=50))[0]
    assert long.token_ids[:7] == output.token_ids


def test_a_stop_token_ends_the_output_and_is_its_last(llm: LLM) -> None:
    free = llm.generate([[1, 2, 3]], SamplingParams(max_tokens=20))[0].token_ids
    stop = free[6]
    at = free.index(stop)
    output = llm.generate([[1, 2, 3]], SamplingParams(max_tokens=20, stop_token_ids=[stop]))[0]
    assert output.token_ids == free[: at + 1]
    assert output.finish_reason == "stop"


def test_the_end_of_sequence_token_ends_unless_ignored(llama_directory: Any) -> None:
    prompt, params = [[3, 4, 5]], SamplingParams(max_tokens=20)
    free = LLM(llama_directory()).generate(prompt, params)[0].token_ids
    eos = free[5]
    at = free.index(eos)
    ending = LLM(llama_directory(eos_token_id=[eos, 0]))
    output = ending.generate(prompt, params)[0]
    assert (output.token_ids, output.finish_reason) == (free[: at + 1], "stop")
    ignoring = SamplingParams(max_tokens=20, ignore_eos=True)
    output = ending.generate(prompt, ignoring)[0]
    assert (output.token_ids, output.finish_reason) == (free, "length")


def test_the_generation_config_overrides_the_end_of_sequence(llama_directory: Any) -> None:
    directory = llama_directory(eos_token_id=1)
    (directory / "generation_config.json").write_text('{"eos_token_id": [8, 9]}')
    assert LLM(directory).model.eos_token_ids == (8, 9)


def test_a_stream_yields_the_tokens_of_generate_as_triples(llm: LLM) -> None:
    params = [SamplingParams(max_tokens=n) for n in (5, 3, 8)]
    expected = [o.token_ids for o in llm.generate(PROMPTS, params)]
    got: list[list[int]] = [[], [], []]
    times: list[float] = []
    for index, token, at in llm.stream(PROMPTS, params):
        got[index].append(token)
        times.append(at)
    assert got == expected
    assert times == sorted(times)


def test_events_carry_the_reason_on_the_last_token_only(llm: LLM) -> None:
    events = list(llm.stream([[1, 2]], SamplingParams(max_tokens=4)))
    assert [e.finish_reason for e in events] == [None, None, None, "length"]
    event = events[-1]
    assert isinstance(event, TokenEvent)
    assert (event.request, event.token_id, event.time) == tuple(event)


@pytest.mark.parametrize(
    "clone", [copy.copy, copy.deepcopy, lambda event: pickle.loads(pickle.dumps(event))]
)
def test_events_can_be_copied_and_pickled(clone: Any) -> None:
    for event in (TokenEvent(3, 7, 1.5, "stop"), TokenEvent(3, 7, 1.5)):
        other = clone(event)
        assert isinstance(other, TokenEvent)
        assert (other, other.finish_reason) == (event, event.finish_reason)


def test_tokens_are_streamed_as_they_are_made(llm: LLM) -> None:
    stream = llm.stream([[1, 2, 3]], SamplingParams(max_tokens=50))
    next(stream)
    assert llm.counters()["tokens_generated"] == 1
    assert time.perf_counter() - next(stream).time < 0.5


def test_closing_a_stream_early_aborts_the_rest(llm: LLM) -> None:
    stream = llm.stream(PROMPTS, SamplingParams(max_tokens=50))
    for _ in range(4):
        next(stream)
    stream.close()
    assert not llm.has_unfinished()
    llm.check_integrity()
    assert llm._blocks.num_used == 0
    assert not llm._requests
    assert llm.counters()["requests_finished"] == 3


def test_two_streams_and_a_step_loop_share_the_engine(llm: LLM) -> None:
    params = SamplingParams(max_tokens=6)
    expected = [o.token_ids for o in llm.generate(PROMPTS, params)]
    request = llm.submit(PROMPTS[0], params)
    streams = [llm.stream([prompt], params) for prompt in PROMPTS[1:]]
    pairs = list(itertools.zip_longest(*streams))
    for i in (0, 1):
        assert [pair[i].token_id for pair in pairs] == expected[i + 1]
    events: list[TokenEvent] = []
    while llm.has_unfinished():
        events += llm.step()
    assert [(e.request, e.token_id) for e in events] == [(request, t) for t in expected[0]]
    assert llm.output(request).token_ids == expected[0]


def test_requests_join_while_others_run(llm: LLM) -> None:
    params = SamplingParams(max_tokens=8)
    expected = [o.token_ids for o in llm.generate(PROMPTS, params)]
    ids: list[int] = []
    for prompt in PROMPTS:
        ids.append(llm.submit(prompt, params))
        llm.step()
        llm.step()
    while llm.has_unfinished():
        llm.step()
    assert [llm.output(i).token_ids for i in ids] == expected


def test_an_output_can_be_watched_and_is_forgotten_once_collected(llm: LLM) -> None:
    request = llm.submit([1, 2, 3], SamplingParams(max_tokens=3))
    assert llm.output(request).token_ids == []
    llm.step()
    partial = llm.output(request)
    assert (len(partial.token_ids), partial.finish_reason) == (1, None)
    while llm.has_unfinished():
        llm.step()
    assert llm.output(request).finish_reason == "length"
    with pytest.raises(RequestNotFound, match=f"no request {request}"):
        llm.output(request)


def test_an_aborted_request_keeps_its_tokens_and_frees_its_blocks(llm: LLM) -> None:
    running = llm.submit([1, 2, 3], SamplingParams(max_tokens=30))
    other = llm.submit([5, 6], SamplingParams(max_tokens=5))
    llm.step()
    llm.step()
    waiting = llm.submit([9], SamplingParams(max_tokens=5))
    assert llm.abort(running)
    assert llm.abort(waiting)
    assert not llm.abort(running), "it has ended already"
    output = llm.output(running)
    assert (output.finish_reason, len(output.token_ids)) == ("abort", 2)
    assert llm.output(waiting).timing.ttft is None
    while llm.has_unfinished():
        llm.step()
    assert llm.output(other).finish_reason == "length"
    assert llm._blocks.num_used == 0
    with pytest.raises(RequestNotFound):
        llm.abort(running)


def test_timing_definitions() -> None:
    timing = Timing(submitted=10.0, scheduled=10.5, token_times=(11.0, 11.25, 12.0))
    assert timing.ttft == 1.0
    assert timing.tpot == 0.5
    assert timing.e2e == 2.0
    assert timing.queue == 0.5
    assert timing.itl == (0.25, 0.75)
    single = Timing(submitted=10.0, scheduled=10.5, token_times=(11.0,))
    assert (single.ttft, single.tpot, single.e2e) == (1.0, None, 1.0)
    none = Timing(submitted=10.0, scheduled=None, token_times=())
    assert (none.ttft, none.tpot, none.e2e, none.queue) == (None, None, None, None)


def test_times_lie_inside_the_call_and_grow(llm: LLM) -> None:
    before = time.perf_counter()
    outputs = llm.generate(PROMPTS, SamplingParams(max_tokens=6))
    after = time.perf_counter()
    for output in outputs:
        timing = output.timing
        assert timing.scheduled is not None
        assert len(timing.token_times) == 6
        points = [before, timing.submitted, timing.scheduled, *timing.token_times, after]
        assert points == sorted(points)
        assert all(gap > 0 for gap in timing.itl)


def test_waiting_in_the_queue_counts_towards_the_first_token() -> None:
    llm = LLM("tiny", EngineConfig(max_num_seqs=1, num_blocks=16))
    first, second = llm.generate([[1], [2]], SamplingParams(max_tokens=10))
    assert second.timing.submitted == first.timing.submitted
    assert second.timing.scheduled is not None
    assert second.timing.scheduled >= first.timing.token_times[-1]
    assert second.timing.ttft is not None
    assert first.timing.e2e is not None
    assert second.timing.ttft > first.timing.e2e


def test_counters_are_exact() -> None:
    llm = LLM("tiny", EngineConfig(block_size=4, num_blocks=32, prefill_chunk_size=8))
    llm.generate([[1] * 10, [2, 3]], SamplingParams(max_tokens=3))
    counters = llm.counters()
    # Prompts in chunks of 8 and 2, and of 2; then two decoded tokens each (the third is sampled
    # from the second): steps 1..4, the short one ends a step before.
    expected = {
        "steps": 4,
        "prompt_tokens": 12,
        "prefill_tokens": 12,
        "decode_tokens": 4,
        "tokens_generated": 6,
        "useful_tokens": 16,
        "padded_tokens": 0,
        "prefix_hit_tokens": 0,
        "preemptions": 0,
        "blocks_allocated": 4,
        "blocks_evicted": 0,
        "peak_blocks_used": 4,
        "requests_submitted": 2,
        "requests_finished": 2,
        # Per step the contexts attended to: (8, 2) (10, 3) (11, 4) (12).
        "kv_tokens_read": 8 + 2 + 10 + 3 + 11 + 4 + 12,
        "op_calls.embedding": 4,
        "op_calls.paged_attention": 4 * 2,
        "op_calls.rope_store": 4 * 2,
        "op_calls.linear_silu_mul": 4 * 2,
        "op_calls.rms_norm": 4 * 2,
        "op_calls.add_rms_norm": 4 * 3,
        "op_calls.linear": 4 * (2 * 3 + 1),
        "op_calls.sample": 4,
        "weight_bytes": 4 * llm.model.num_parameters,
        "kv_cache_bytes": 2 * 2 * 32 * 4 * 2 * 16 * 4,
    }
    assert {key: counters[key] for key in expected} == expected
    llm.reset_counters()
    left = {key: value for key, value in llm.counters().items() if value}
    assert left == {key: expected[key] for key in ("weight_bytes", "kv_cache_bytes")}


def test_length_buckets_save_padding_and_change_no_token() -> None:
    prompts = [[i] * n for i, n in enumerate((210, 3, 200, 5), start=1)]
    outcomes = {}
    for buckets in (True, False):
        config = EngineConfig(num_blocks=128, enable_length_buckets=buckets, backend="numpy")
        llm = LLM("tiny", config)
        tokens = [o.token_ids for o in llm.generate(prompts, SamplingParams(max_tokens=8))]
        outcomes[buckets] = tokens, llm.counters()["kv_tokens_padded"]
    assert outcomes[True][0] == outcomes[False][0]
    # Per step: 3, 5, 200, 210 padded to 210 against pairs padded to 5 and to 210.
    assert outcomes[False][1] == 7 * (207 + 205 + 10)
    assert outcomes[True][1] == 7 * (2 + 10)


def test_a_failing_step_ends_its_requests_and_leaves_the_engine_usable(
    llm: LLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = SamplingParams(max_tokens=4)
    expected = llm.generate([[1, 2]], params)[0].token_ids
    request = llm.submit([1, 2], params)
    with monkeypatch.context() as patch:
        patch.setattr(llm._runner.decoder, "forward", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            llm.step()
        with pytest.raises(ZeroDivisionError):
            llm.generate([[1, 2], [3]], params)
    assert list(llm._requests) == [request], "generate leaves nothing behind"
    output = llm.output(request)
    assert output.finish_reason == "error"
    assert output.error == "ZeroDivisionError: division by zero"
    llm.check_integrity()
    assert llm.generate([[1, 2]], params)[0].token_ids == expected


def test_logits_that_are_not_finite_end_the_request_with_an_error(llm: LLM) -> None:
    llm._runner.weights.norm.fill_(float("nan"))
    output = llm.generate([[1, 2]], SamplingParams(max_tokens=4))[0]
    assert (output.finish_reason, output.token_ids) == ("error", [])
    assert output.error == "the model's logits were not finite"


def test_a_stream_ends_with_an_error_that_names_the_requests_that_failed(llm: LLM) -> None:
    params = [SamplingParams(max_tokens=n) for n in (1, 4, 4)]
    events = []
    stream = llm.stream(PROMPTS, params)
    with pytest.raises(RequestFailed) as caught:
        for event in stream:
            events.append(event)
            llm._runner.weights.norm.fill_(float("nan"))
    assert [e.request for e in events] == [0, 1, 2]
    assert str(caught.value) == (
        "request 1: the model's logits were not finite; "
        "request 2: the model's logits were not finite"
    )
    assert not llm.has_unfinished()
    assert not llm._requests


def test_describe_says_what_runs(llm: LLM) -> None:
    described = llm.describe()
    assert described["model"] == "tiny"
    assert described["dtype"] == "float32"
    assert described["device"] == "cpu"
    assert described["backends"]["linear"] == "compiled"  # float32 on one CPU thread
    assert set(described["backends"]) == {
        key.removeprefix("op_calls.") for key in llm.counters() if key.startswith("op_calls.")
    }
    held = llm._runner.weights.each()
    assert described["parameters"] == sum(math.prod(weight.shape) for weight in held)
    assert described["fallback"] is None
    assert (described["num_blocks"], described["block_size"]) == (128, 16)


def test_dummy_weights_follow_the_seed() -> None:
    params = SamplingParams(max_tokens=8)
    runs = [
        LLM("tiny", EngineConfig(seed=s, num_blocks=16)).generate([[1]], params)[0].token_ids
        for s in (0, 0, 1)
    ]
    assert runs[0] == runs[1] != runs[2]
