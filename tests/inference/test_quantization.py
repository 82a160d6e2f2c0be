"""Matrices in few bits: what rounding costs, and that nothing else changes a result."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from inference import LLM, ConfigError, EngineConfig, SamplingParams
from inference.ops.cpu.compilation import load
from inference.ops.cpu.packed_matrix import PackedFloat, PackedInt4, PackedInt8, PackedNf4
from inference.ops.cpu_matrices import HalfMatrix, Int4Matrix, Int8Matrix
from inference.ops.linear import linear
from inference.ops.matrix import Matrix
from inference.ops.nf4_matrix import Nf4Matrix
from inference.ops.scaled_matrix import ScaledMatrix

OUT, WIDTH = 64, 96
# Root-mean-square error of the product of Gaussian weights over its own; twice what is seen.
SCHEMES: dict[str, tuple[Callable[[Tensor], Matrix], float]] = {
    "half": (HalfMatrix, 5e-4),
    "int8": (Int8Matrix, 0.012),
    "int4": (Int4Matrix, 0.16),
    "packed-float32": (lambda weight: PackedFloat(load(), weight.float()), 1e-6),
    "packed-bfloat16": (lambda weight: PackedFloat(load(), weight.bfloat16()), 4e-3),
    "packed-int8": (partial(PackedInt8, load()), 0.012),
    "packed-int4": (partial(PackedInt4, load()), 0.16),
    "nf4": (Nf4Matrix, 0.2),
    "packed-nf4": (partial(PackedNf4, load()), 0.2),
    "scaled-int8": (lambda weight: ScaledMatrix(weight, "int8"), 0.012),
    "scaled-fp8": (lambda weight: ScaledMatrix(weight, "fp8"), 0.06),
}


def randn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.fixture(params=SCHEMES)
def scheme(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.mark.parametrize("num_rows", [1, 5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_product_errs_by_no_more_than_the_weights_rounding(
    scheme: str, num_rows: int, dtype: torch.dtype
) -> None:
    make, bound = SCHEMES[scheme]
    weight, x = randn(OUT, WIDTH).to(dtype), randn(num_rows, WIDTH).to(dtype)
    x[:, 3] *= 50  # an outlier, which a single scale for 8 bits of activations would not survive
    original = weight.clone()
    matrix = make(weight)
    assert torch.equal(weight, original)
    got = linear(x, matrix)
    assert got.shape == (num_rows, OUT)
    assert got.dtype is dtype
    exact = x.double() @ weight.double().T
    error = (got.double() - exact).norm() / exact.norm()
    assert error < bound + (4e-3 if dtype is torch.bfloat16 else 0)
    assert matrix.shape == (OUT, WIDTH)
    assert (
        matrix.num_bytes == matrix.num_bytes_read <= weight.numel() * (4 if "32" in scheme else 2)
    )


def test_what_else_is_in_a_batch_changes_no_row(scheme: str) -> None:
    matrix = SCHEMES[scheme][0](randn(OUT, WIDTH))
    x = randn(4, WIDTH)
    x[2] *= 1000
    together = matrix.multiply(x)
    for i in range(len(x)):
        alone = matrix.multiply(x[i : i + 1])
        torch.testing.assert_close(alone, together[i : i + 1], rtol=1e-5, atol=1e-5)


def test_zeros_stay_zeros_and_what_is_not_finite_stays_so(scheme: str) -> None:
    weight, x = randn(OUT, WIDTH), randn(3, WIDTH)
    weight[5] = 0.0
    x[1] = 0.0
    x[2, 7] = torch.nan
    product = SCHEMES[scheme][0](weight).multiply(x)
    assert (product[:2, 5] == 0).all()
    assert (product[1] == 0).all()
    assert product[0].isfinite().all()
    assert not product[2].isfinite().any()


@pytest.mark.parametrize(
    ("make", "shape"), [(Int4Matrix, (40, 96)), (Int4Matrix, (48, 80)), (Nf4Matrix, (48, 80))]
)
def test_4_bits_name_a_shape_that_does_not_fit(
    make: Callable[[Tensor], Matrix], shape: tuple[int, int]
) -> None:
    with pytest.raises(ConfigError, match=f"{shape[0]} x {shape[1]} does not fit"):
        make(randn(*shape))


@pytest.mark.parametrize("quantization", ["int8", "fp8", "int4", "nf4"])
def test_an_engine_packs_all_but_the_embedding_and_counts_the_bytes_it_reads(
    quantization: str,
) -> None:
    plain, packed = (
        LLM("tiny", EngineConfig(num_blocks=16, quantization=q)) for q in (None, quantization)
    )
    for llm in (plain, packed):
        llm.generate([[1, 2, 3], [4]], SamplingParams(max_tokens=4))
    weights = packed._runner.weights
    matrices = [m for m in weights.each() if not isinstance(m, Tensor)]
    assert len(matrices) == 4 * len(weights.layers) + 1
    held = sum(t.numel() * 4 for t in weights.tensors()) + sum(m.num_bytes for m in matrices)
    assert packed.counters()["weight_bytes"] == held < plain.counters()["weight_bytes"]
    steps = packed.counters()["steps"]
    read = weights.body_bytes_read + weights.head_bytes_read
    saved = plain._runner.weights.body_bytes_read + plain._runner.weights.head_bytes_read - read
    assert plain.counters()["model_bytes"] - packed.counters()["model_bytes"] == steps * saved


def test_int8_gives_a_prompt_the_same_tokens_alone_and_in_company(oracle: Any) -> None:
    case = oracle("llama")
    llm = LLM(case.directory, EngineConfig(quantization="int8", block_size=4))
    params = SamplingParams(max_tokens=8)
    together = [output.token_ids for output in llm.generate(case.prompts, params)]
    alone = [llm.generate([prompt], params)[0].token_ids for prompt in case.prompts]
    assert together == alone
    expected = [tokens[:8] for tokens in case.expected]
    assert sum(a == b for a, b in zip(together, expected, strict=True)) >= len(expected) // 2


@pytest.mark.parametrize("compiled", [True, False])
def test_bfloat16_on_a_cpu_is_held_packed_and_differs_by_rounding_only(compiled: bool) -> None:
    packed, plain = (
        LLM(
            "tiny",
            EngineConfig(
                num_blocks=16,
                dtype="bfloat16",
                enable_cpu_layout=on,
                backend="auto" if compiled else "numpy" if on else "auto",
            ),
        )
        for on in (True, False)
    )
    assert type(packed._runner.weights.layers[0].down) is (PackedFloat if compiled else HalfMatrix)
    x = randn(2, plain.model.hidden_size).to(torch.bfloat16)
    ours, theirs = (
        linear(x, llm._runner.weights.layers[0].gate_up).float() for llm in (packed, plain)
    )
    torch.testing.assert_close(ours, theirs, rtol=0.02, atol=0.01)
    assert packed.counters()["weight_bytes"] == plain.counters()["weight_bytes"]


def test_an_unknown_scheme_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match=r"quantization is 'int9'.*'int8'"):
        EngineConfig(quantization="int9")
