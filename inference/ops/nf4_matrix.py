"""Weights in NF4: 4 bits that stand for quantiles of the normal distribution, over each block's largest."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from inference.ops.grid import group_of

__all__ = ["LEVELS", "Nf4Matrix", "block_of", "nf4_values"]

# Dettmers et al. 2023, arXiv:2305.14314, appendix E.
LEVELS = torch.tensor(
    [
        *(-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453),
        *(-0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0.0),
        *(0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224),
        *(0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0),
    ]
)
_BETWEEN = (LEVELS[1:] + LEVELS[:-1]) / 2
_BLOCKS = (64, 32)  # the first that divides a row; the paper's is 64


def block_of(weight: Tensor) -> int:
    """Return how many inputs of a row share a largest value.

    Raises:
        ConfigError: The rows are no multiple of 32.
    """
    return group_of(weight, _BLOCKS, "nf4")


def nf4_values(weight: Tensor, block: int) -> tuple[Tensor, Tensor]:
    """Return the nearest level of each weight, and the largest magnitude of each block.

    Args:
        weight: ``[out, in]``.
        block: Divides ``in``.

    Returns:
        Indices into ``LEVELS``, ``[out, in]`` uint8, and ``[out, in / block]`` float32.
    """
    wide = weight.float().unflatten(1, (-1, block))
    largest = wide.abs().amax(-1)
    shares = wide / largest.clamp(min=torch.finfo(torch.float32).tiny)[..., None]
    values = torch.bucketize(shares, _BETWEEN.to(weight.device), out_int32=True)
    return values.to(torch.uint8).flatten(1), largest


class Nf4Matrix:
    """A matrix in NF4, widened for each product.

    Args:
        weight: ``[out, in]``.

    Raises:
        ConfigError: ``in`` is no multiple of 32.

    Cost:
        As ``linear``, and the matrix is written and read once more in the dtype of the activations.
    """

    def __init__(self, weight: Tensor) -> None:
        self.shape = tuple(weight.shape)
        self._block = block_of(weight)
        values, self._largest = nf4_values(weight, self._block)
        self._pairs = values[:, ::2] << 4 | values[:, 1::2]
        self._levels = LEVELS.to(weight.device)

    @property
    def num_bytes(self) -> int:
        """Bytes held."""
        return self._pairs.numel() + 4 * self._largest.numel()

    num_bytes_read = num_bytes

    def multiply(self, x: Tensor) -> Tensor:
        """Return ``x @ weight.T``, ``[T, out]``."""
        values = torch.stack((self._pairs >> 4, self._pairs & 15), dim=-1).int()
        levels = self._levels[values].view(*self._largest.shape, self._block)
        wide = (levels * self._largest[..., None]).view(self.shape)
        return F.linear(x, wide.to(x.dtype))
