"""A KV cache in 8 bits: what rounding costs, the same from every backend, and the memory that it saves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from inference import LLM, BackendUnavailable, ConfigError, EngineConfig, SamplingParams
from inference.ops import OpSet, numpy_ops
from inference.ops.attention import paged_attention
from inference.ops.cpu import compiled_ops
from inference.ops.kv_rows import decode, encode
from inference.ops.rope import ROPE_STORE, rope_store
from tests.inference.ops.cases import CASES, Case, Draw

DTYPES = {"int8": torch.int8, "fp8": torch.float8_e4m3fn}
CPU = torch.device("cpu")
ON_ARRAYS = {"numpy": numpy_ops, "compiled": compiled_ops}


def draw() -> Draw:
    return Draw(torch.float32, CPU)


@pytest.mark.parametrize(("kv_dtype", "bound"), [("int8", 0.5 / 127), ("fp8", 2**-4)])
def test_a_row_errs_by_its_own_scale_alone(kv_dtype: str, bound: float) -> None:
    x = draw().normal(5, 3, 16)
    x[1] *= 1000
    x[2, 1] = 0.0
    x[3, 2, 7] = torch.nan
    rows = encode(x, DTYPES[kv_dtype])
    assert rows.shape == (5, 3, 20)
    got = decode(rows, torch.float32)
    largest = x.abs().amax(-1, keepdim=True)
    finite = x.isfinite().all(-1)
    assert ((got - x).abs() <= bound * largest)[finite].all()
    assert (got[2, 1] == 0).all()
    assert not got[3, 2].isfinite().any()
    alone = encode(x[:1], DTYPES[kv_dtype])
    assert torch.equal(alone.view(torch.int8), rows[:1].view(torch.int8)), "others change no row"


STORES = [c for c in CASES["rope_store"] if not c.large and "x2n" not in c.name]


@pytest.mark.parametrize("case", STORES, ids=lambda case: case.name)
@pytest.mark.parametrize(
    ("backend", "kv_dtype"),
    [
        ("numpy", "int8"),
        ("compiled", "int8"),
        ("triton", "int8"),
        pytest.param(
            "triton",
            "fp8",
            marks=pytest.mark.skipif(
                not torch.cuda.is_available(),
                reason="Triton's interpreter halves a float8 that rounding takes to the next power of 2",
            ),
        ),
    ],
)
def test_every_backend_stores_the_same_rows(case: Case, backend: str, kv_dtype: str) -> None:
    args, kwargs = case.make(draw())
    dtype, dim = DTYPES[kv_dtype], 2 * args[1].shape[-1]
    shape = (*args[4].shape[:-1], dim + 4)
    expected, got = ([torch.zeros(shape, dtype=torch.int8).view(dtype) for _ in "kv"] for _ in "ab")
    q = rope_store(*args[:4], *expected, *args[6:], **kwargs)
    if backend == "triton":
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        op = OpSet([ROPE_STORE], backend="triton", device=device.type).rope_store
        there = [cache.to(device) for cache in got]
        args = tuple(None if a is None else a.to(device) for a in args)
        ours: Any = op(*args[:4], *there, *args[6:], **kwargs).cpu()
        got = [cache.cpu() for cache in there]
    else:
        args = tuple(None if a is None else a.numpy() for a in args)
        arrays = (cache.numpy() for cache in got)
        ours = ON_ARRAYS[backend].rope_store(*args[:4], *arrays, *args[6:], **kwargs)
    np.testing.assert_allclose(ours, q, rtol=1e-5, atol=1e-5)
    for cache, reference in zip(got, expected, strict=True):
        # A number in the middle between two steps may fall to either.
        steps = 1 / 127 if kv_dtype == "int8" else 1 / 8
        wide, wanted = decode(cache, torch.float32), decode(reference, torch.float32)
        allowed = 1.01 * steps * wanted.abs().amax(-1, keepdim=True)
        assert ((wide - wanted).abs() <= allowed + 1e-6).all()
        assert ((wide - wanted).abs() > 1e-6).float().mean() < 0.05


@pytest.mark.parametrize(
    "case",
    [c for c in CASES["paged_attention"] if not c.large and "int8" not in c.name],
    ids=lambda case: case.name,
)
@pytest.mark.parametrize("backend", ["reference", *ON_ARRAYS])
def test_every_backend_attends_to_what_the_rows_stand_for(case: Case, backend: str) -> None:
    (q, *caches, plan), kwargs = case.make(draw())
    rows = [encode(cache.nan_to_num(), torch.int8) for cache in caches]
    exact = paged_attention(q, *(decode(r, torch.float32) for r in rows), plan, **kwargs)
    got: Any
    if backend == "reference":
        got = paged_attention(q, *rows, plan, **kwargs)
    else:
        arrays = (r.numpy() for r in rows)
        got = ON_ARRAYS[backend].paged_attention(q.numpy(), *arrays, plan, **kwargs)
    np.testing.assert_allclose(got, exact, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize(
    ("kv_dtype", "backend"),
    [("int8", "reference"), ("int8", "numpy"), ("int8", "compiled"), ("fp8", "reference")],
)
def test_an_engine_says_nearly_the_same_and_each_prompt_the_same_in_company(
    oracle: Any, kv_dtype: str, backend: str
) -> None:
    case = oracle("llama")
    config = {"backend": backend, "block_size": 4, "num_threads": 1}
    llm = LLM(case.directory, EngineConfig(kv_dtype=kv_dtype, **config))
    params = SamplingParams(max_tokens=8)
    together = [output.token_ids for output in llm.generate(case.prompts, params)]
    alone = [llm.generate([prompt], params)[0].token_ids for prompt in case.prompts]
    assert together == alone
    expected = [tokens[:8] for tokens in case.expected]
    assert sum(a == b for a, b in zip(together, expected, strict=True)) >= len(expected) // 2


def test_the_memory_of_a_position_is_counted_as_held_and_as_read() -> None:
    wide, narrow = (
        LLM("tiny", EngineConfig(num_blocks=8, num_threads=1, kv_dtype=d)) for d in (None, "int8")
    )
    assert wide.describe()["kv_dtype"] == "float32"
    assert narrow.describe()["kv_dtype"] == "int8"
    ratio = narrow.counters()["kv_cache_bytes"] / wide.counters()["kv_cache_bytes"]
    assert ratio == (16 + 4) / (4 * 16)
    for llm in (wide, narrow):
        llm.generate([[1, 2, 3]], SamplingParams(max_tokens=2))
    model = wide.model
    saved = wide.counters()["model_bytes"] - narrow.counters()["model_bytes"]
    # Three positions are written and read by the first step, one more by the second.
    positions = (3 + 3) + (4 + 1)
    assert saved == positions * model.num_layers * 2 * model.num_kv_heads * (4 * 16 - 20)
    budget = {"kv_cache_bytes": 10**6, "num_threads": 1}
    more = LLM("tiny", EngineConfig(**budget, kv_dtype="int8")).describe()["num_blocks"]
    assert more > 3 * LLM("tiny", EngineConfig(**budget)).describe()["num_blocks"]


def test_what_does_not_go_together_is_refused_by_name(llama_directory: Any) -> None:
    with pytest.raises(ConfigError, match=r"kv_dtype is 'int4'.*int8"):
        EngineConfig(kv_dtype="int4")
    with pytest.raises(BackendUnavailable, match=r"kv_dtype='fp8'"):
        LLM("tiny", EngineConfig(kv_dtype="fp8", backend="compiled", num_threads=1))


def test_float8_takes_the_references_by_itself() -> None:
    llm = LLM("tiny", EngineConfig(kv_dtype="fp8", num_blocks=8, num_threads=1))
    assert llm.describe()["backends"]["paged_attention"] == "reference"
    assert isinstance(llm._runner.cache.data, Tensor)
