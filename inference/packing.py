"""How the matrices of loaded weights are held while an engine runs."""

from __future__ import annotations

import dataclasses

from inference.ops.both_ways import BothWays
from inference.weights import ModelWeights

__all__ = ["pack"]


def pack(weights: ModelWeights, *, cpu_layout: bool) -> ModelWeights:
    """Return weights whose matrices are held as they are multiplied fastest.

    Args:
        weights: Filled.
        cpu_layout: Hold a vocabulary's matrix that is the embedding, hence must keep its rows
            contiguous, both ways (float32 on a CPU).
    """
    embedding = weights.embedding
    if cpu_layout and weights.lm_head is embedding and embedding.dtype.itemsize == 4:
        return dataclasses.replace(weights, lm_head=BothWays(embedding))
    return weights
