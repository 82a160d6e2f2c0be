"""What a step must cost: the FLOPs and bytes that no implementation can do without.

Divided by the step's time and the device's peaks these give MFU and MBU. Everything is counted
from shapes alone, so the numbers are exact and the same on every machine.

Left out, being under 1 % of any step: norms, activations, the embedding's rows, and activations
that stay in cache.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from inference.architecture import ModelConfig

__all__ = ["StepCost", "step_cost"]


@dataclass(frozen=True, slots=True)
class StepCost:
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


def step_cost(
    model: ModelConfig,
    spans: Iterable[tuple[int, int]],
    *,
    num_sampled: int,
    weight_itemsize: int,
    kv_itemsize: int,
) -> StepCost:
    """Return the least cost of a step.

    Args:
        model: Shapes.
        spans: ``(start, length)`` of each chunk: its first position and number of tokens.
        num_sampled: Rows that meet the vocabulary.
        weight_itemsize: Bytes of one weight.
        kv_itemsize: Bytes of one cached element.
    """
    spans = list(spans)
    num_tokens = sum(length for _, length in spans)
    heads = (model.num_heads + 2 * model.num_kv_heads) * model.head_dim
    out = model.num_heads * model.head_dim
    layer = model.hidden_size * (heads + out + 3 * model.intermediate_size)
    head = model.vocab_size * model.hidden_size
    kv_width = 2 * model.num_kv_heads * model.head_dim
    pairs = kv_positions = 0
    # Layers of one window cost the same; there are at most two kinds.
    for window in set(model.sliding_windows):
        layers = model.sliding_windows.count(window)
        for start, length in spans:
            end = start + length
            pairs += layers * (_visible(end, window) - _visible(start, window))
            first = 0 if window is None else max(0, start - window + 1)
            kv_positions += layers * (end - first)
    weights = model.num_layers * layer + (head if num_sampled else 0)
    return StepCost(
        linear_flops=2 * (num_tokens * model.num_layers * layer + num_sampled * head),
        attention_flops=4 * out * pairs,
        weight_bytes=weights * weight_itemsize,
        kv_bytes=(kv_positions + num_tokens * model.num_layers) * kv_width * kv_itemsize,
    )


def _visible(num_queries: int, window: int | None) -> int:
    """Pairs that the first ``num_queries`` positions of a sequence see, themselves included."""
    full = num_queries if window is None else min(num_queries, window)
    beyond = num_queries - full
    return full * (full + 1) // 2 + (0 if window is None else beyond * window)
