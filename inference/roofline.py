"""The least cost of a step: the FLOPs and bytes that every implementation needs.

Divided by the step's time and the device's peaks these give MFU and MBU. Everything is counted
from shapes alone, so the numbers are exact and the same on every machine.

Left out, being under 1 % of any step: norms, activations, the embedding's rows, and activations
that stay in cache.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from operator import mul
from typing import NamedTuple

from inference.architecture import ModelConfig

__all__ = ["CostModel", "StepCost"]


class StepCost(NamedTuple):
    """FLOPs (a multiply-add is two) and bytes of one step.

    Attributes:
        linear_flops: Of the matrix products.
        attention_flops: Of q·kᵀ and of the weights times v, visible pairs only.
        weight_bytes: Each weight once, the head only if a token is sampled, the embedding never.
        kv_bytes: Keys and values read by attention and written for the step's tokens.
    """

    linear_flops: int
    attention_flops: int
    weight_bytes: int
    kv_bytes: int


class CostModel:
    """The cost of one model's steps.

    Args:
        model: Shapes.
        weight_itemsize: Bytes of one weight.
        kv_itemsize: Bytes of one cached element, its share of a scale included.
        weight_bytes: Of the layers' matrices and of the vocabulary's, where they are packed; None
            takes ``weight_itemsize`` of each weight.
    """

    def __init__(
        self,
        model: ModelConfig,
        *,
        weight_itemsize: int,
        kv_itemsize: float,
        weight_bytes: tuple[int, int] | None = None,
    ) -> None:
        heads = (model.num_heads + 2 * model.num_kv_heads) * model.head_dim
        out = model.num_heads * model.head_dim
        layer = model.hidden_size * (heads + out + 3 * model.intermediate_size)
        self._num_layers = model.num_layers
        # Layers of one window cost the same; there are at most two kinds.
        self._windows = tuple(Counter(model.sliding_windows).items())
        self._body_weights = model.num_layers * layer
        self._head_weights = model.vocab_size * model.hidden_size
        self._flops_per_pair = 4 * out
        self._body_bytes, self._head_bytes = weight_bytes or (
            self._body_weights * weight_itemsize,
            self._head_weights * weight_itemsize,
        )
        self._kv_bytes = 2 * round(model.num_kv_heads * model.head_dim * kv_itemsize)

    def step(self, starts: Sequence[int], lengths: Sequence[int], *, num_sampled: int) -> StepCost:
        """Return the least cost of a step.

        Args:
            starts: First position of each chunk.
            lengths: Tokens of each chunk, >= 1.
            num_sampled: Rows that meet the vocabulary.
        """
        num_tokens = sum(lengths)
        pairs = kv_positions = 0
        for window, layers in self._windows:
            if window is None:  # as below, column by column: n·start + n·(n + 1)/2, and start + n
                squares = sum(map(mul, lengths, lengths))
                seen = sum(map(mul, lengths, starts)) + (squares + num_tokens) // 2
                positions_read = sum(starts) + num_tokens
            else:
                spans = [(start, start + n) for start, n in zip(starts, lengths, strict=True)]
                seen = sum(
                    [_visible(end, window) - _visible(start, window) for start, end in spans]
                )
                positions_read = sum([min(end, end - start + window - 1) for start, end in spans])
            pairs += layers * seen
            kv_positions += layers * positions_read
        head = self._head_bytes if num_sampled else 0
        return StepCost(
            linear_flops=2 * (num_tokens * self._body_weights + num_sampled * self._head_weights),
            attention_flops=self._flops_per_pair * pairs,
            weight_bytes=self._body_bytes + head,
            kv_bytes=(kv_positions + num_tokens * self._num_layers) * self._kv_bytes,
        )


def _visible(num_queries: int, window: int) -> int:
    """Pairs that the first ``num_queries`` positions of a sequence see, themselves included."""
    full = min(num_queries, window)
    return full * (full + 1) // 2 + (num_queries - full) * window
