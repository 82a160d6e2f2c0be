"""The layers of one stage of a pipeline, between the rank before and the rank after.

Rank 0 has the embedding, the first layers and the vocabulary; the others have layers alone::

    rank 0   embedding ─ layers 0 … k ─┐            ┌─ norm ─ head ─► sample
                                       ▼            │
    rank 1                      layers k + 1 … n ───┘
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from inference.model import Decoder
from inference.parallel.group import Group

__all__ = ["StageDecoder", "as_tensor"]


class StageDecoder(Decoder):
    """The layers of a rank other than 0: what goes into the first is what the rank before made.

    Args:
        group: Of the rank.
        rest: As of ``Decoder``; its embedding has one row, for its dtype and device.
    """

    def __init__(self, group: Group, *rest: Any, **settings: Any) -> None:
        super().__init__(*rest, **settings)
        self._group = group

    def embed(self, tokens: Any) -> Any:
        """Wait for the residual stream of the step's tokens."""
        row = as_tensor(self.weights.embedding)
        dtype = torch.float32 if self.ops.on_arrays else row.dtype
        shape = (len(tokens), row.shape[1])
        return self.held(self._group.receive(torch.empty(shape, dtype=dtype, device=row.device)))


def as_tensor(activations: Any) -> Tensor:
    """Return what ops take or return as a tensor of the same memory."""
    return activations if isinstance(activations, Tensor) else torch.from_numpy(activations)
