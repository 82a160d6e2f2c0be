"""Decoding steps replayed from graphs. Without a GPU a stand-in runs the captured step again on the
memory it was captured on, into the tensor it yielded then: what a graph does, kernel by kernel."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from inference import LLM, EngineConfig, SamplingParams
from inference.graphs import can_capture, padded, padded_sizes
from inference.ops import OPS, OpSet
from inference.staging import Sizes

PROMPTS = [[1, 2, 3], [4] * 5, [7, 8]]
# Decoding steps of 3, 3 and 1 rows, one of which draws.
PARAMS = [
    SamplingParams(max_tokens=3),
    SamplingParams(max_tokens=4, temperature=1.0, top_k=4, seed=1),
    SamplingParams(max_tokens=3),
]


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Callable[..., LLM]:
    """Return a function that makes an engine of kernels, with graphs unless told otherwise."""

    def make(*, capture: Any = None, **config: Any) -> LLM:
        def run_again(run: Callable[[], Tensor]) -> tuple[Callable[[], Any], Tensor]:
            tokens = run()

            def replay() -> None:
                calls = dict(llm._runner.ops.calls)
                tokens.copy_(run())
                llm._runner.ops.calls.update(calls)  # nothing of Python runs in a graph

            return replay, tokens

        if not torch.cuda.is_available():
            monkeypatch.setattr("inference.runner.can_capture", lambda *_: True)
            monkeypatch.setattr("inference.runner.cuda_capture", lambda: capture or run_again)
        settings = {"backend": "triton", "dtype": "float32", "num_blocks": 16, "block_size": 4}
        llm = LLM("tiny", EngineConfig(max_model_len=16, **settings | config))
        return llm

    return make


def test_the_same_tokens_from_graphs(engine: Callable[..., LLM]) -> None:
    plain = engine(enable_cuda_graphs=False, enable_overlap=False)
    wanted = [o.token_ids for o in plain.generate(PROMPTS, PARAMS)]
    before = plain.counters()
    assert (before["graph_replays"], before["padded_tokens"]) == (0, 0)
    for overlap in (False, True):
        graphed = engine(enable_overlap=overlap)
        assert [o.token_ids for o in graphed.generate(PROMPTS, PARAMS)] == wanted
        after = graphed.counters()
        # The first step of a size runs as it is; 3 rows are padded to 4.
        assert (after["graph_replays"], after["padded_tokens"]) == (1, 2)
        changed = {name for name in before if after[name] != before[name]}
        assert changed == {"graph_replays", "graph_captures", "padded_tokens"}
        if not overlap:  # with it, blocks are given back a step later, and others are taken
            # Padding stored nothing: what lies in the cache is what lies there without it.
            assert torch.allclose(graphed._runner.cache.data, plain._runner.cache.data, atol=1e-5)


def test_a_step_captured_with_known_tokens_serves_pending_ones(engine: Callable[..., LLM]) -> None:
    # The prompt is one token, so its step is captured as a decoding step of one row.
    params = SamplingParams(max_tokens=3)
    wanted = engine(backend="auto", enable_cuda_graphs=False).generate([[5]], params)[0].token_ids
    llm = engine(enable_overlap=True)
    assert llm.generate([[5]], params)[0].token_ids == wanted
    assert llm.counters()["graph_replays"] == 2


def test_replays_and_calls_are_reset(engine: Callable[..., LLM]) -> None:
    llm = engine(backend="auto")
    llm.generate([[1]], SamplingParams(max_tokens=4))
    assert llm.counters()["graph_replays"] == 3
    llm.reset_counters()
    counters = llm.counters()
    assert not counters["graph_replays"]
    assert not any(n for name, n in counters.items() if name.startswith("op_calls."))


def test_a_warm_engine_captures_nothing_more(engine: Callable[..., LLM]) -> None:
    plain = engine(enable_cuda_graphs=False, enable_overlap=False)
    wanted = [o.token_ids for o in plain.generate(PROMPTS, PARAMS)]
    warm = engine(max_num_seqs=4, enable_overlap=False)
    warm.warm_up()
    assert warm.counters()["graph_captures"] == len(padded_sizes(Sizes(4, 4, 4))) == 3
    warm.reset_counters()
    before = warm._runner.cache.data.clone()
    warm.warm_up()  # again: nothing to do
    assert torch.equal(warm._runner.cache.data, before)
    assert [o.token_ids for o in warm.generate(PROMPTS, PARAMS)] == wanted
    counters = warm.counters()
    assert (counters["graph_captures"], counters["graph_replays"]) == (0, 3)


def test_a_closed_engine_frees_its_memory_at_once(engine: Callable[..., LLM]) -> None:
    llm = engine()
    llm.generate(PROMPTS, PARAMS)
    if torch.cuda.is_available():
        watched = [weakref.ref(llm._runner), weakref.ref(llm._runner.cache.data)]
    else:
        # The stand-in for a capture refers to the engine; what a graph holds does not.
        llm._runner.graphs._captured.clear()
        watched = [weakref.ref(llm._runner.cache.data), weakref.ref(llm._runner.weights.embedding)]
    gc.disable()
    try:
        llm.close()
        assert [ref() for ref in watched] == [None, None]
    finally:
        gc.enable()


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, RuntimeError, ValueError])
def test_what_cannot_be_captured_runs_as_it_is_and_is_told(
    engine: Callable[..., LLM], error: type[Exception]
) -> None:
    asked = []

    def fails(run: Callable[[], Tensor]) -> Any:
        asked.append(run)
        run()
        raise error("not this one")

    params = SamplingParams(max_tokens=5)
    wanted = (
        engine(backend="auto", enable_cuda_graphs=False).generate([[1, 2]], params)[0].token_ids
    )
    llm = engine(capture=fails, backend="auto")
    if llm.describe()["device"] == "cpu":
        assert llm.generate([[1, 2]], params)[0].token_ids == wanted
        assert len(asked) == 1, "asked once for each size"
        assert llm.counters()["graph_replays"] == 0
        assert llm.counters()["graph_captures"] == 1
        assert llm.counters()["op_calls.sample"] == 5
        assert llm.describe()["graph_failure"] == f"{error.__name__}: not this one"


def test_sizes_are_few_and_hold_what_is_padded_to_them() -> None:
    limit = Sizes(tokens=100, rows=100, blocks=2000)
    found = set()
    for rows in range(1, 101):
        for blocks in (1, 63, 64, 65, 256, 257, 2000):
            sizes = Sizes(rows, rows, blocks)
            got = padded(sizes, limit)
            assert got.hold(sizes)
            assert limit.hold(got)
            assert got.tokens == got.rows < rows + 8
            found.add(got)
    assert set(padded_sizes(limit)) == found
    assert {s.rows for s in found} == {1, 2, 4, *range(8, 100, 8), 100}
    assert {s.blocks for s in found} == {64, 256, 1024, 2000}


def test_graphs_need_kernels_on_a_gpu() -> None:
    cuda, cpu = torch.device("cuda"), torch.device("cpu")
    kernels = OpSet(OPS, backend="triton", device="cpu")
    references = OpSet(OPS, backend="reference", device="cpu")
    assert can_capture(kernels, cuda)
    assert not can_capture(kernels, cpu)
    assert not can_capture(references, cuda)
    assert not LLM("tiny", EngineConfig(device="cpu", num_blocks=4)).describe()["cuda_graphs"]
