"""The values that a weight of 4 bits can have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from inference.errors import ConfigError

__all__ = ["GROUPS", "Grid", "group_of"]

GROUPS = (32, 64, 128)  # of values that share a step, the fewest that divide the row first


def group_of(weight: Tensor, sizes: Sequence[int], quantization: str) -> int:
    """Return the first of ``sizes`` that divides the rows of a matrix ``[out, in]``.

    Raises:
        ConfigError: None does.
    """
    out, width = weight.shape
    for size in sizes:
        if width % size == 0:
            return size
    raise ConfigError(
        f"quantization={quantization!r}: a matrix of {out} x {width} does not fit; columns go by "
        f"{min(sizes)}. Use 'int8'"
    )


@dataclass(frozen=True, slots=True)
class Grid:
    """In each group of a row, ``low + step * (0 ... 15)``.

    Attributes:
        group: Inputs of a group; groups follow one another.
        steps: ``[out, in / group]``, float32, none of them 0.
        lows: As ``steps``.
    """

    group: int
    steps: Tensor
    lows: Tensor

    @classmethod
    def fit(cls, weight: Tensor) -> Grid:
        """Return the grid from each group's least to its largest weight, rounded to bfloat16.

        Raises:
            ConfigError: The rows are no multiple of 32.
        """
        group = group_of(weight, GROUPS, "int4")
        low, high = weight.float().view(len(weight), -1, group).aminmax(dim=-1)
        # The weights are then rounded to the values that they are multiplied by.
        low = low.bfloat16().float()
        steps = high.sub(low).div_(15).clamp_(min=1e-8).bfloat16().float()
        return cls(group, steps, low)

    def values(self, weight: Tensor) -> Tensor:
        """Return the nearest values of a matrix, 0 to 15, ``[out, in]`` uint8."""
        wide = weight.float().unflatten(1, (-1, self.group)) - self.lows[..., None]
        return wide.div_(self.steps[..., None]).round_().clamp_(0, 15).to(torch.uint8).flatten(1)

    @staticmethod
    def of_rows(parts: Sequence[Grid | None]) -> Grid | None:
        """Return the grid of matrices one below the other; None where theirs do not go together."""
        known = [part for part in parts if part is not None]
        if len(known) < len(parts) or len({part.group for part in known}) != 1:
            return None
        steps, lows = torch.cat([p.steps for p in known]), torch.cat([p.lows for p in known])
        return Grid(known[0].group, steps, lows)
