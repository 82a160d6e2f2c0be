"""The kernel of 8-bit matrices beside its reference."""

from __future__ import annotations

import pytest
import torch

from inference.ops.scaled_matrix import ScaledMatrix, few_bits


@pytest.mark.parametrize("scheme", few_bits)
@pytest.mark.parametrize(("rows", "width", "out"), [(1, 300, 33), (16, 64, 32), (3, 256, 70)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_kernel_multiplies_as_its_reference_does(
    scheme: str, rows: int, width: int, out: int, dtype: torch.dtype, device: torch.device
) -> None:
    from inference.ops.triton.scaled import scaled_linear

    generator = torch.Generator().manual_seed(rows * width)
    x = torch.randn(rows, width, generator=generator).to(device, dtype)
    matrix = ScaledMatrix(torch.randn(out, width, generator=generator).to(device), scheme)
    got = scaled_linear(x, matrix.values, matrix.scales)
    exact = (x.double() @ matrix.values.double().T) * matrix.scales.double()
    tolerance = 1e-4 if dtype is torch.float32 else 0.02
    torch.testing.assert_close(got.double(), exact, rtol=tolerance, atol=tolerance * 10)
