"""Every op against its reference, over the registry.

Kernels run on a GPU, else in Triton's interpreter; functions on arrays on the CPU.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from inference.ops import OPS, Op, OpSet
from inference.ops.cpu import compiled_ops
from tests.inference.ops.cases import CASES, Case, Draw

TOLERANCES = {
    torch.float32: {"rtol": 1e-5, "atol": 1e-5},
    torch.float16: {"rtol": 2e-3, "atol": 2e-3},
    # The interpreter cuts float32 off to bfloat16 instead of rounding.
    torch.bfloat16: {"rtol": 1.6e-2, "atol": 1.6e-2},
}
SMALL_OR_ON_GPU = [
    pytest.param(
        op,
        case,
        id=f"{op.name}-{case.name}",
        marks=pytest.mark.skipif(
            case.large and not torch.cuda.is_available(), reason="large: needs a GPU"
        ),
    )
    for op in OPS
    for case in CASES.get(op.name, ())
]


def kernel_of(op: Op, device: torch.device) -> Any:
    return getattr(OpSet([op], backend="triton", device=device.type), op.name)


def assert_written_where_told(
    args: Sequence[Any], wanted: Sequence[Any], before: Sequence[Any], dtype: torch.dtype
) -> None:
    """Hold every argument after a call against the reference's, and against what it was."""
    for after, want, was in zip(args, wanted, before, strict=True):
        if not isinstance(after, torch.Tensor):
            continue
        torch.testing.assert_close(after.to(want.dtype), want, equal_nan=True, **TOLERANCES[dtype])
        if torch.equal(was.to(want.dtype), want):
            assert torch.equal(after, was), "an argument that is only read was changed"


def test_every_op_has_cases() -> None:
    assert set(CASES) == {op.name for op in OPS}


@pytest.mark.parametrize("dtype", TOLERANCES, ids=lambda d: str(d).removeprefix("torch."))
@pytest.mark.parametrize(("op", "case"), SMALL_OR_ON_GPU)
def test_a_kernel_does_what_its_reference_does(
    op: Op, case: Case, dtype: torch.dtype, device: torch.device, poisoned: Any
) -> None:
    """Outputs, and every argument after the call: caches are written where and only where told."""
    args, kwargs = case.make(Draw(dtype, device))
    # The reference reads the very same numbers, wide: its own rounding is not the oracle.
    wide = [a.float() if isinstance(a, torch.Tensor) and a.is_floating_point() else a for a in args]
    with poisoned():
        got = kernel_of(op, device)(*args, **kwargs)
    expected = op.reference(*wide, **kwargs)
    outputs = got if isinstance(got, tuple) else (got,)
    wanted = expected if isinstance(expected, tuple) else (expected,)
    before, _ = case.make(Draw(dtype, device))
    for output, want in zip(outputs, wanted, strict=True):
        assert output.is_contiguous()
        assert output.dtype == want.dtype or output.dtype == dtype
        assert not output.isnan().any()
        torch.testing.assert_close(output.to(want.dtype), want, **TOLERANCES[dtype])
    assert_written_where_told(args, wide, before, dtype)


SMALL_ON_ARRAYS = [
    pytest.param(op, case, id=f"{op.name}-{case.name}")
    for op in OPS
    for case in CASES.get(op.name, ())
    if op.numpy and not case.large
]


SMALL_COMPILED = [
    pytest.param("compiled", *case.values, id=f"{case.id}-compiled")
    for case in SMALL_ON_ARRAYS
    if case.values[0].name in compiled_ops.__all__
]


@pytest.mark.parametrize(
    ("backend", "op", "case"),
    [pytest.param("numpy", *c.values, id=c.id) for c in SMALL_ON_ARRAYS] + SMALL_COMPILED,
)
def test_a_function_on_arrays_does_what_its_reference_does(
    backend: str, op: Op, case: Case
) -> None:
    """Outputs, and every argument after the call; memory that is not to be read holds NaN."""
    (args, kwargs), (arrays, _), (before, _) = (
        case.make(Draw(torch.float32, torch.device("cpu"))) for _ in range(3)
    )
    expected = op.reference(*args, **kwargs)
    function = getattr(OpSet([op], backend=backend, device="cpu"), op.name)
    with np.errstate(all="ignore"):  # as in the decoder
        got = function(*map(_as_array, arrays), **kwargs)
    outputs = got if isinstance(got, tuple) else (got,)
    wanted = expected if isinstance(expected, tuple) else (expected,)
    for output, want in zip(outputs, wanted, strict=True):
        assert output.dtype == np.float32
        torch.testing.assert_close(torch.from_numpy(output), want, **TOLERANCES[torch.float32])
    assert_written_where_told(arrays, args, before, torch.float32)


def _as_array(value: Any) -> Any:
    return value.numpy() if isinstance(value, torch.Tensor) else value


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
def test_a_strided_input_is_refused_by_name(op: Op, device: torch.device) -> None:
    case = max((c for c in CASES[op.name] if not c.large), key=lambda c: c.name)
    args, kwargs = case.make(Draw(torch.float32, device))
    names = list(inspect.signature(op.reference).parameters)
    refused = 0
    for i, arg in enumerate(args):
        if isinstance(arg, torch.Tensor) and arg.numel() > 1:
            strided = torch.stack((arg, arg), dim=-1)[..., 0]
            with pytest.raises(ValueError, match=rf"{op.name}: {names[i]} .* contiguous"):
                kernel_of(op, device)(*args[:i], strided, *args[i + 1 :], **kwargs)
            refused += 1
    assert refused
