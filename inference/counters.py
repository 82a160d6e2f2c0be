"""Exact counts of the work done: the same on every machine and every launch of the same load."""

from __future__ import annotations

from operator import ge
from typing import TYPE_CHECKING

from inference.roofline import CostModel
from inference.scheduler import Step

if TYPE_CHECKING:
    from inference.runner import Enqueued

__all__ = ["WorkCounters"]

_NAMES = (
    "steps",
    "prefill_tokens",
    "decode_tokens",
    "draft_tokens",
    "draft_tokens_accepted",
    "useful_tokens",
    "padded_tokens",
    "kv_tokens_read",
    "kv_tokens_padded",
    "model_flops",
    "model_bytes",
)


class WorkCounters:
    """Adds up what an engine's steps computed.

    A step counts when it is enqueued, also where its token turns out not to be wanted since the
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

    def add(self, enqueued: Enqueued) -> None:
        """Count one step."""
        step = enqueued.step
        if 0 in step.lengths:  # ended lanes of a padded batch: they meet the vocabulary for nothing
            step = Step.of(chunk for chunk in step.chunks if chunk.length)
        num_ended = len(enqueued.step.requests) - len(step.requests)
        # Generated tokens are computed one by one, and such chunks come first.
        prompts = [request.num_prompt for request in step.requests[: step.lengths.count(1)]]
        decodes = sum(map(ge, step.starts, prompts))
        tokens = sum(step.lengths)
        drafts = sum(step.drafts)
        if drafts:  # such a chunk holds one known token, beside its guesses
            decodes += len(step.drafts) - step.drafts.count(0)
        positions = sum(step.starts) + tokens
        counts = self.counts
        counts["steps"] += 1
        counts["decode_tokens"] += decodes
        counts["draft_tokens"] += drafts
        counts["prefill_tokens"] += tokens - decodes - drafts
        counts["useful_tokens"] += tokens
        counts["padded_tokens"] += enqueued.num_lanes - tokens
        counts["kv_tokens_read"] += positions
        # What attention read beyond the contexts: rows filled up to their group's, lanes of padding.
        counts["kv_tokens_padded"] += enqueued.num_kv_read - positions
        cost = self._cost.step(
            step.starts, step.lengths, num_sampled=len(enqueued.sampled) - num_ended
        )
        counts["model_flops"] += cost.linear_flops + cost.attention_flops
        counts["model_bytes"] += cost.weight_bytes + cost.kv_bytes
