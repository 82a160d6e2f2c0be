"""Weight matrices in 8 bits on a GPU: int8 or float8, one scale per output."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

__all__ = ["ScaledMatrix", "few_bits"]

few_bits = {"int8": torch.int8, "fp8": torch.float8_e4m3fn}


class ScaledMatrix:
    """A matrix in 8 bits that is widened as it is multiplied.

    Args:
        weight: ``[out, in]``.
        scheme: A key of ``few_bits``.

    Cost:
        As ``linear`` at 1 byte a weight where the kernel runs (CUDA, few rows); else the matrix is
        widened first, which reads and writes it once more.
    """

    def __init__(self, weight: Tensor, scheme: str) -> None:
        dtype = few_bits[scheme]
        self.shape = tuple(weight.shape)
        wide = weight.float()
        most = torch.finfo(dtype).max if dtype.is_floating_point else torch.iinfo(dtype).max
        # A row of zeros needs some scale, and keeps its zeros with any.
        self.scales = wide.abs().amax(1).div(most).clamp_(min=torch.finfo(torch.float32).tiny)
        values = wide / self.scales[:, None]
        self.values = (values if dtype.is_floating_point else values.round_()).to(dtype)

    @property
    def num_bytes(self) -> int:
        """Bytes held."""
        return self.shape[0] * (self.shape[1] + 4)

    num_bytes_read = num_bytes

    def multiply(self, x: Tensor) -> Tensor:
        """Return ``x @ weight.T``, ``[T, out]``."""
        if x.is_cuda:
            from inference.ops.triton.scaled import MOST_ROWS, scaled_linear

            if 0 < len(x) <= MOST_ROWS:
                return scaled_linear(x, self.values, self.scales)
        product = F.linear(x, self.values.to(x.dtype)).float()
        return product.mul_(self.scales).to(x.dtype)
