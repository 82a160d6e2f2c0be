"""How a CPU holds its matrices changes the time of a product, not its result."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from threadpoolctl import threadpool_info

from inference import LLM, EngineConfig, SamplingParams
from inference.ops.both_ways import BothWays
from inference.ops.linear import linear
from inference.weights import LayerWeights
from tests.inference.conftest import NUM_OUTPUT

BLAS = {"backend": "numpy"}
ROWS = {"enable_cpu_layout": False}


@pytest.mark.parametrize("num_rows", [1, 2, 3, 8, 33])
def test_both_ways_multiplies_as_one_way_does(num_rows: int) -> None:
    generator = torch.Generator().manual_seed(num_rows)
    x, rows = torch.randn(num_rows, 24, generator=generator), torch.randn(70, 24)
    both = BothWays(rows)
    got = linear(x, both)
    assert got.is_contiguous()
    assert both.shape == (70, 24)
    torch.testing.assert_close(got.double(), x.double() @ rows.double().T, rtol=1e-5, atol=1e-5)
    # Rows and columns are one matrix, not two that may drift apart.
    bias = torch.arange(70.0)
    torch.testing.assert_close(linear(x, both, bias), got + bias)


@pytest.mark.parametrize("variant", ["llama", "llama-tied", "qwen2", "mistral-window"])
@pytest.mark.parametrize("layout", [{}, BLAS, ROWS])
def test_the_layout_changes_no_token(oracle: Any, variant: str, layout: dict[str, Any]) -> None:
    case = oracle(variant)
    llm = LLM(case.directory, EngineConfig(block_size=4, **layout))
    outputs = llm.generate(case.prompts, SamplingParams(max_tokens=NUM_OUTPUT))
    assert [output.token_ids for output in outputs] == case.expected


def test_dummy_weights_are_the_same_in_every_layout() -> None:
    laid_out, plain = (
        LLM("tiny", EngineConfig(enable_cpu_layout=on, num_blocks=4, **BLAS))._runner.weights
        for on in (True, False)
    )
    assert not laid_out.layers[0].gate_up.is_contiguous()
    assert laid_out.layers[0].down.is_contiguous() == plain.layers[0].down.is_contiguous()
    for name in LayerWeights.__slots__:
        ours, theirs = getattr(laid_out.layers[1], name), getattr(plain.layers[1], name)
        assert (ours is None and theirs is None) or torch.equal(ours, theirs)
    assert torch.equal(laid_out.lm_head, plain.lm_head)


def test_the_second_copy_of_a_tied_head_is_counted_as_held_but_read_once(oracle: Any) -> None:
    directory = oracle("llama-tied").directory
    both, one = (LLM(directory, EngineConfig(**layout)) for layout in (BLAS, ROWS))
    head = 160 * 48 * 4
    assert both.counters()["weight_bytes"] == one.counters()["weight_bytes"] + head
    for llm in (both, one):
        llm.generate([[1, 2, 3]], SamplingParams(max_tokens=2))
    assert both.counters()["model_bytes"] == one.counters()["model_bytes"]


@pytest.mark.parametrize(
    ("config", "backend", "kv_dtype"),
    [
        ({"num_threads": 1}, "compiled", "float32"),
        ({"num_threads": 1, "backend": "numpy"}, "numpy", "float32"),
        ({"num_threads": 2}, "reference", "float32"),
        ({"dtype": "bfloat16", "num_threads": 1}, "compiled", "float32"),
        ({"dtype": "bfloat16", "num_threads": 2}, "reference", "bfloat16"),
        ({"dtype": "bfloat16", "enable_cpu_layout": False}, "reference", "bfloat16"),
    ],
)
def test_one_thread_computes_on_arrays(config: dict[str, Any], backend: str, kv_dtype: str) -> None:
    before = torch.get_num_threads()
    try:
        llm = LLM("tiny", EngineConfig(num_blocks=4, **config))
    finally:
        torch.set_num_threads(before)
    described = llm.describe()
    assert described["backends"]["linear"] == backend
    assert described["backends"]["sample"] == "reference"
    assert described["fallback"] is None
    assert described["kv_dtype"] == kv_dtype
    itemsize = {"float32": 4, "bfloat16": 2}[kv_dtype]
    model = llm.model
    positions = 2 * model.num_layers * model.num_kv_heads * model.head_dim * 4 * 16
    assert llm.counters()["kv_cache_bytes"] == positions * itemsize


def test_numpy_uses_as_many_threads_as_torch() -> None:
    before = torch.get_num_threads()
    try:
        for threads in (2, 1):
            LLM("tiny", EngineConfig(num_threads=threads, backend="numpy", num_blocks=4))
            pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
            assert {pool["num_threads"] for pool in pools} == {threads}
    finally:
        torch.set_num_threads(before)
