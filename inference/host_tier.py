"""KV blocks in host memory: what the cache has no room for, until it is asked for again. No tensors.

A published block whose space is needed is copied out; a request whose prefix is there takes a free block and
copies it back, which costs a transfer where it cost the prompt's computation. A block is in one of the two places.
The copies are orders, in the order in which they must run: before the step that was scheduled with them.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Literal, NamedTuple

from inference.counters import Counter

__all__ = ["BlockCopy", "HostTier"]

_Key = tuple[int, tuple[int, ...]]  # of a published block: see BlockManager


class BlockCopy(NamedTuple):
    """One block between the device's cache and the host's."""

    to: Literal["host", "device"]
    block: int  # of the device's cache
    slot: int  # of the host's


class HostTier:
    """Which published blocks lie in host memory, the least recently stored to be dropped first.

    Args:
        num_blocks: That fit in host memory, >= 1.

    Attributes:
        blocks_stored, blocks_restored: Copied out, and back, since the last reset.
    """

    COUNTERS = (
        Counter("blocks_stored", "blocks of the cache copied to host memory"),
        Counter("blocks_restored", "blocks copied back, whose tokens were not computed again"),
    )

    def __init__(self, num_blocks: int) -> None:
        self.num_blocks = num_blocks
        self._held: OrderedDict[_Key, tuple[int, int]] = OrderedDict()  # to slot and link
        self._free = list(range(num_blocks))
        self._copies: list[BlockCopy] = []
        self.blocks_stored = self.blocks_restored = 0

    def store(self, key: _Key, link: int, block: int) -> None:
        """Order a block copied out; ``link`` is what the blocks after it are known by."""
        if not self._free and not self._held:
            return  # its one slot is being copied back
        if not self._free:
            _, (slot, _) = self._held.popitem(last=False)
            self._free.append(slot)
        slot = self._free.pop()
        self._held[key] = slot, link
        self._copies.append(BlockCopy("host", block, slot))
        self.blocks_stored += 1

    def __contains__(self, key: object) -> bool:
        return key in self._held

    def take(self, key: _Key) -> tuple[int, int]:
        """Return slot and link of a held block, which ``restore`` is to copy back."""
        return self._held.pop(key)

    def restore(self, slot: int, block: int) -> None:
        """Order a taken slot copied into ``block``."""
        self._copies.append(BlockCopy("device", block, slot))
        self._free.append(slot)  # what is stored there next is copied after this
        self.blocks_restored += 1

    def forget(self, key: _Key) -> int | None:
        """Drop a block that was computed again; return its link, or None if it is not held."""
        slot, link = self._held.pop(key, (None, None))
        if slot is not None:
            self._free.append(slot)
        return link

    def take_copies(self) -> list[BlockCopy]:
        """Return the copies ordered since the last call, in order."""
        copies, self._copies = self._copies, []
        return copies

    def check_integrity(self) -> None:
        """Recount the slots; raises AssertionError on a mismatch."""
        slots = [slot for slot, _ in self._held.values()] + self._free
        assert sorted(slots) == list(range(self.num_blocks)), "a host slot is lost or used twice"
