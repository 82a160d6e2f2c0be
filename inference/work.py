"""Exact counts of the work done: the same on every machine and every launch of the same load."""

from __future__ import annotations

from dataclasses import dataclass
from operator import ge
from typing import TYPE_CHECKING, ClassVar

from inference.counters import Counter
from inference.roofline import CostModel
from inference.scheduler import Step

if TYPE_CHECKING:
    from inference.runner import Enqueued

__all__ = ["Traffic", "WorkCounters"]


@dataclass(slots=True)
class Traffic:
    """What callers handed in and got back."""

    COUNTERS: ClassVar = (
        Counter("prompt_tokens", "prompt tokens submitted"),
        Counter("requests_submitted", "requests submitted"),
        Counter("requests_finished", "requests ended, whatever the reason"),
        Counter("kv_slots_held", "KV positions of the blocks that requests had at their ends"),
        Counter("kv_slots_filled", "of those, the ones with a token; the rest is fragmentation"),
    )

    prompt_tokens: int = 0
    requests_submitted: int = 0
    requests_finished: int = 0
    kv_slots_held: int = 0
    kv_slots_filled: int = 0


class WorkCounters:
    """Adds up what an engine's steps computed.

    A step counts when it is enqueued, also where its token turns out not to be wanted since the
    request had ended by then. A step with at least one prompt token is a prefill step; the
    generated tokens that run in it are part of it. All others are decode steps.

    Args:
        cost: Of the engine's model.

    Attributes:
        steps, prefill_steps, ...: See ``COUNTERS``.
    """

    COUNTERS = (
        Counter("steps", "engine steps"),
        Counter("prefill_steps", "steps with at least one prompt token; all others only decode"),
        Counter("prefill_tokens", "prompt tokens computed, and tokens computed again after a preemption"),
        Counter("decode_tokens", "generated tokens computed one at a time"),
        Counter("draft_tokens", "tokens guessed"),
        Counter("draft_tokens_accepted", "guesses that were right"),
        Counter("useful_tokens", "lanes of the batch with a token"),
        Counter("padded_tokens", "lanes of the batch without a token"),
        Counter("kv_tokens_read", "positions of contexts that attention read, per layer"),
        Counter("kv_tokens_padded", "positions of padding that attention read, per layer"),
        Counter("model_flops", "floating-point operations that the steps had to do at least"),
        Counter("model_bytes", "bytes that the steps had to read and write at least"),
        Counter("prefill_flops", "the part of `model_flops` in prefill steps"),
        Counter("prefill_bytes", "the part of `model_bytes` in prefill steps"),
    )  # fmt: skip

    def __init__(self, cost: CostModel) -> None:
        self._cost = cost
        self.steps = self.prefill_steps = 0
        self.prefill_tokens = self.decode_tokens = 0
        self.draft_tokens = self.draft_tokens_accepted = 0
        self.useful_tokens = self.padded_tokens = 0
        self.kv_tokens_read = self.kv_tokens_padded = 0
        self.model_flops = self.model_bytes = 0
        self.prefill_flops = self.prefill_bytes = 0

    def add(self, enqueued: Enqueued) -> bool:
        """Count one step, and return whether it computes prompt tokens."""
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
        self.steps += 1
        self.decode_tokens += decodes
        self.draft_tokens += drafts
        prefills = tokens - decodes - drafts
        self.prefill_tokens += prefills
        self.useful_tokens += tokens
        self.padded_tokens += enqueued.num_lanes - tokens
        self.kv_tokens_read += positions
        # What attention read beyond the contexts: rows filled up to their group's, lanes of padding.
        self.kv_tokens_padded += enqueued.num_kv_read - positions
        cost = self._cost.step(
            step.starts, step.lengths, num_sampled=len(enqueued.sampled) - num_ended
        )
        flops = cost.linear_flops + cost.attention_flops
        num_bytes = cost.weight_bytes + cost.kv_bytes
        self.model_flops += flops
        self.model_bytes += num_bytes
        if not prefills:
            return False
        self.prefill_steps += 1
        self.prefill_flops += flops
        self.prefill_bytes += num_bytes
        return True
