"""Chooses the replica of a request: the least loaded, but where another has its prompt's beginning. No tensors."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence

__all__ = ["PrefixMemory", "route"]

SLACK = 2  # requests that a replica may have more than the least loaded, for a prefix's sake


def route(loads: Sequence[int], shared: Sequence[int], *, seats: int) -> int | None:
    """Return the replica that takes the next request; None where all seats are taken.

    Of the replicas with a free seat and no more than ``SLACK`` requests above the least loaded, the one that
    has seen most of the prompt; of equal ones the least loaded, then the first.

    Args:
        loads: Requests of each replica, in flight or assigned.
        shared: Tokens of the prompt that each has seen.
        seats: Requests that a replica takes at most.
    """
    least = min(loads)
    if least >= seats:
        return None
    near = [i for i, load in enumerate(loads) if load < seats and load - least <= SLACK]
    return max(near, key=lambda i: (shared[i], -loads[i], -i))


class PrefixMemory:
    """Which beginnings of prompts each replica was given, in whole blocks, the newest so many.

    Blocks are remembered by a hash of all tokens up to their end; a collision costs a request its better
    replica, and nothing else.

    Args:
        num_replicas: How many.
        block_size: Tokens of a block, as the replicas share them.
        capacity: Blocks remembered of each; what its cache holds.
    """

    def __init__(self, num_replicas: int, *, block_size: int, capacity: int) -> None:
        self._block_size = block_size
        self._capacity = capacity
        self._blocks: list[OrderedDict[int, None]] = [OrderedDict() for _ in range(num_replicas)]

    def shared(self, tokens: Sequence[int]) -> list[int]:
        """Return how many leading tokens each replica has seen."""
        counts = [0] * len(self._blocks)
        following = set(range(len(self._blocks)))
        for number, key in enumerate(self._keys(tokens), start=1):
            following = {i for i in following if key in self._blocks[i]}
            if not following:
                break
            for i in following:
                counts[i] = number * self._block_size
        return counts

    def note(self, replica: int, tokens: Sequence[int]) -> None:
        """Remember that a replica was given a prompt."""
        blocks = self._blocks[replica]
        # The last block first: a chain is forgotten from its end, as the cache evicts it.
        for key in reversed(list(self._keys(tokens))):
            blocks[key] = None
            blocks.move_to_end(key)
        while len(blocks) > self._capacity:
            blocks.popitem(last=False)

    def _keys(self, tokens: Sequence[int]) -> Iterator[int]:
        key, size = 0, self._block_size
        for start in range(0, len(tokens) - size + 1, size):
            key = hash((key, *tokens[start : start + size]))
            yield key
