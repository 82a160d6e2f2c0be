"""The values that a weight of 4 bits can have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from inference.errors import ConfigError

__all__ = ["GROUPS", "Grid"]

GROUPS = (32, 64, 128)  # of values that share a step, the fewest that divide the row first


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
        out, width = weight.shape
        group = next((group for group in GROUPS if width % group == 0), 0)
        if not group:
            raise ConfigError(
                f"quantization='int4': a matrix of {out} x {width} does not fit; columns go by "
                f"{GROUPS[0]}. Use 'int8'"
            )
        low, high = weight.float().view(out, -1, group).aminmax(dim=-1)
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
