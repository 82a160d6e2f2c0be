"""A step that does not fit the device's memory is enqueued in halves, down to a single token."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from inference.request import Request
from inference.scheduler import Chunk, Step

if TYPE_CHECKING:
    from inference.runner import Enqueued

__all__ = ["EnqueuedParts", "enqueue_in_parts"]


@dataclass(slots=True)
class EnqueuedParts:
    """The result of enqueueing a step.

    Attributes:
        parts: What was enqueued, in order: one, unless memory ran out.
        too_large: Requests of which not even one token fits alone, each with its error message.
    """

    parts: list[Enqueued] = field(default_factory=list)
    too_large: dict[Request, str] = field(default_factory=dict)


def enqueue_in_parts(enqueue: Callable[[Step], Enqueued], step: Step) -> EnqueuedParts:
    """Enqueue a step whole, or in the halves of it that fit.

    Parts do not change the result: a token's KV goes to the same slot in any part, and the chunks of
    a request stay in order.

    Args:
        enqueue: Raises ``torch.OutOfMemoryError`` where memory runs out.
        step: At least one chunk.
    """
    done = EnqueuedParts()
    left = [step]
    while left:
        part = left.pop()
        if done.too_large:
            part = Step.of(c for c in part.chunks if c.request not in done.too_large)
        if not part.requests:
            continue
        try:
            done.parts.append(enqueue(part))
        except torch.OutOfMemoryError as error:
            # The memory that the allocator caches may be enough.
            torch.cuda.empty_cache()
            halves = _halve(part.chunks)
            left += map(Step.of, reversed(halves))
            if not halves:
                done.too_large[part.requests[0]] = (
                    f"OutOfMemoryError: the device has no memory left to compute one token of this "
                    f"request at position {part.starts[0]}; lower kv_cache_bytes or "
                    f"max_model_len: {error}"
                )
    return done


def _halve(chunks: list[Chunk]) -> list[list[Chunk]]:
    """Return the chunks of two steps that do the same, or none where there is but one token."""
    if len(chunks) > 1:
        middle = len(chunks) // 2
        return [chunks[:middle], chunks[middle:]]
    (chunk,) = chunks
    if chunk.padding and chunk.length:
        # A request must not fail because its padding does not fit: drop the padding.
        return [[Chunk(chunk.request, chunk.start, chunk.length)]]
    if chunk.length < 2:
        return []
    half = chunk.length // 2
    rest = Chunk(chunk.request, chunk.start + half, chunk.length - half)
    return [[Chunk(chunk.request, chunk.start, half)], [rest]]
