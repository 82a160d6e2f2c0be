"""Exact counts of the work done: the same on every machine and every launch of the same load."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inference.roofline import CostModel

if TYPE_CHECKING:
    from inference.runner import Launched

__all__ = ["WorkCounters"]

_NAMES = (
    "steps",
    "prefill_tokens",
    "decode_tokens",
    "useful_tokens",
    "padded_tokens",
    "kv_tokens_read",
    "kv_tokens_padded",
    "model_flops",
    "model_bytes",
)


class WorkCounters:
    """Adds up what an engine's steps computed.

    A step counts when it is launched, also where its token turns out not to be wanted since the
    request had ended by then.

    Args:
        cost: Of the engine's model.

    Attributes:
        counts: By name; see ``LLM.counters``.
    """

    def __init__(self, cost: CostModel) -> None:
        self._cost = cost
        self.counts = dict.fromkeys(_NAMES, 0)

    def reset(self) -> None:
        """Start every count anew."""
        self.counts = dict.fromkeys(_NAMES, 0)

    def add(self, launched: Launched) -> None:
        """Count one step."""
        chunks = launched.step.chunks
        contexts = [c.start + 1 for c in chunks if c.length == 1]
        spans = [(c.start, c.length) for c in chunks if c.length > 1]
        decodes = sum([c.start >= c.request.num_prompt for c in chunks if c.length == 1])
        tokens = len(contexts) + sum([length for _, length in spans])
        positions = sum(contexts) + sum([start + length for start, length in spans])
        counts = self.counts
        counts["steps"] += 1
        counts["decode_tokens"] += decodes
        counts["prefill_tokens"] += tokens - decodes
        counts["useful_tokens"] += tokens
        counts["padded_tokens"] += launched.num_lanes - tokens
        counts["kv_tokens_read"] += positions
        # What attention read beyond the contexts: rows filled up to their group's, lanes of padding.
        counts["kv_tokens_padded"] += launched.num_kv_read - positions
        # Ended lanes of a padded batch meet the vocabulary for nothing.
        ended = sum([c.length == 0 for c in chunks]) if launched.num_lanes > tokens else 0
        num_sampled = len(launched.sampled) - ended
        cost = self._cost.step(spans, num_sampled=num_sampled, contexts=contexts)
        counts["model_flops"] += cost.linear_flops + cost.attention_flops
        counts["model_bytes"] += cost.weight_bytes + cost.kv_bytes
