"""Error compensation: each column of a matrix is rounded, and the columns after it make up for the error.

The rounding is given: to a grid of few bits (GPTQ), or to zeros (SparseGPT).
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

__all__ = ["Rounding", "compensate"]

_DAMPING = 0.01  # of the mean curvature, added to it: few texts leave some directions unseen
_BLOCK = 128  # columns whose errors reach the rest of the matrix at once


class Rounding(Protocol):
    """Rounds a matrix column by column.

    Attributes:
        group: Columns that ``fit`` is shown at once.
    """

    group: int

    def fit(self, columns: Tensor, curvature: Tensor) -> None:
        """Choose how the next columns are rounded.

        Args:
            columns: ``[out, group]``, made up for the errors so far.
            curvature: How much an error of each column costs, squared, ``[group]``.
        """
        ...

    def round(self, column: Tensor, place: int) -> Tensor:
        """Return a column rounded, ``[out]``; ``place`` is its own in the group."""
        ...


def compensate(weight: Tensor, product: Tensor, rounding: Rounding) -> Tensor:
    """Return the matrix rounded so that its products with the inputs change little.

    Args:
        weight: ``[out, in]``.
        product: ``x.T @ x`` over the inputs ``x`` of some texts, ``[in, in]``; **written**.
        rounding: Its group divides ``in``.

    Returns:
        New tensor, ``[out, in]`` float32.

    Cost:
        in³ + 2·out·in² FLOPs.

    Source:
        Frantar et al. 2022, arXiv:2210.17323 (GPTQ), algorithm 1; Frantar and Alistarh 2023,
        arXiv:2301.00774 (SparseGPT).
    """
    weight = weight.float().clone()
    width = weight.shape[1]
    diagonal = product.diagonal()
    unused = diagonal == 0
    weight[:, unused] = 0.0
    diagonal[unused] = 1.0
    diagonal += _DAMPING * diagonal.mean()
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(product))
    # Row i tells how an error of column i is made up for by the columns after it.
    factor = torch.linalg.cholesky(inverse, upper=True)
    # Of whole groups, so that a group is fitted to columns that are up to date.
    block = max(_BLOCK // rounding.group, 1) * rounding.group
    rounded = torch.empty_like(weight)
    for start in range(0, width, block):
        end = min(start + block, width)
        errors = weight.new_empty((len(weight), end - start))
        for i in range(start, end):
            place = (i - start) % rounding.group
            if place == 0:
                group = slice(i, i + rounding.group)
                rounding.fit(weight[:, group], factor.diagonal()[group] ** -2)
            rounded[:, i] = rounding.round(weight[:, i], place)
            error = (weight[:, i] - rounded[:, i]) / factor[i, i]
            weight[:, i + 1 : end] -= torch.outer(error, factor[i, i + 1 : end])
            errors[:, i - start] = error
        weight[:, end:] -= errors @ factor[start:end, end:]
    return rounded
