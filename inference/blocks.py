"""The KV cache as numbered blocks: reference counts, prefix sharing, LRU eviction. No tensors.

A block holds the keys and values of ``block_size`` consecutive positions. A request owns a
``BlockTable``; tables of requests with equal beginnings share their leading full blocks::

    table A ─► 7 ─► 2 ─► 9          block 7 and 2 have two owners,
    table B ─► 7 ─► 2 ─► 4          9 and 4 one each; the partial last block is never shared

Only full blocks whose KV has been computed are published for sharing. A published block is known
by ``(link of its predecessor, its tokens)``: a dict does the hashing and the token equality check
in one, and since a link stands for one exact chain of tokens, two prefixes are never confused by
a hash collision. A block that loses its last owner keeps its content and waits in LRU order until
its space is needed; blocks without reusable content are taken first.

Every operation is O(blocks touched); taking or giving back one block is O(1).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from inference.counters import Counter
from inference.host_tier import HostTier

__all__ = ["BlockManager", "BlockTable"]

ROOT = 0  # the link before the first block of every sequence

_Key = tuple[int, tuple[int, ...]]


@dataclass(slots=True, eq=False)
class BlockTable:
    """Blocks of one sequence in order, and the links of those already published.

    Changed only by ``BlockManager``; read by anyone.
    """

    blocks: list[int] = field(default_factory=list)
    links: list[int] = field(default_factory=list)


class BlockManager:
    """Owns every block: hands out, shares, takes back.

    Args:
        num_blocks: Blocks in the cache, >= 1.
        block_size: Positions in a block, >= 1.
        enable_prefix_sharing: Off, no block is ever published or found.
        host: Takes the published blocks whose space is needed; None: their content is given up.

    Attributes:
        blocks_allocated: Blocks handed out since the last reset, shared hits not counted.
        blocks_evicted: Published blocks whose content was given up for space.
        peak_used: Most blocks in use at once since the last reset.
    """

    COUNTERS = (
        Counter("blocks_allocated", "blocks of the cache handed out, shared hits not counted"),
        Counter("blocks_evicted", "blocks whose reusable content was given up for space"),
        Counter(
            "peak_blocks_used",
            "most blocks in use at once",
            attribute="peak_used",
            reset="num_used",
        ),
    )

    def __init__(
        self,
        num_blocks: int,
        block_size: int,
        *,
        enable_prefix_sharing: bool = True,
        host: HostTier | None = None,
    ) -> None:
        self.num_blocks = num_blocks
        self.block_size = block_size
        self.enable_prefix_sharing = enable_prefix_sharing
        self.host = host
        self._owners = [0] * num_blocks
        # OrderedDict, not dict: popping a dict's first key scans the holes left by earlier pops.
        self._free: OrderedDict[int, None] = OrderedDict.fromkeys(range(num_blocks))
        self._published: dict[_Key, int] = {}
        self._key_of: dict[int, _Key] = {}
        self._link_of: dict[int, int] = {}
        self._next_link = ROOT + 1
        self.blocks_allocated = 0
        self.blocks_evicted = 0
        self.peak_used = 0

    @property
    def num_free(self) -> int:
        """Blocks without an owner, those with reusable content included."""
        return len(self._free)

    @property
    def num_used(self) -> int:
        """Blocks with at least one owner."""
        return self.num_blocks - len(self._free)

    def blocks_for(self, num_tokens: int) -> int:
        """Return how many blocks ``num_tokens`` positions take."""
        return -(-num_tokens // self.block_size)

    def acquire_prefix(self, table: BlockTable, tokens: Sequence[int]) -> int:
        """Fill an empty ``table`` with the longest published prefix of ``tokens``.

        At least one token is left over, for the model must run on something to yield logits.

        Args:
            table: Empty; gains an owner's share of each block found.
            tokens: Prompt (and output, after preemption) of the sequence.

        Returns:
            Tokens covered, a multiple of ``block_size``; 0 when nothing was found.
        """
        assert not table.blocks, "the table of a waiting request is empty"
        if not self.enable_prefix_sharing:
            return 0
        size = self.block_size
        link = ROOT
        for start in range(0, (len(tokens) - 1) // size * size, size):
            key = (link, tuple(tokens[start : start + size]))
            block = self._published.get(key)
            if block is None:
                if self.host is None or key not in self.host or not self._free:
                    break
                block = self._restore(key, self.host)
            else:
                self._own(block)
            link = self._link_of[block]
            table.blocks.append(block)
            table.links.append(link)
        return len(table.blocks) * size

    def grow(self, table: BlockTable, num_tokens: int) -> bool:
        """Give ``table`` room for ``num_tokens`` positions: all of it, or nothing and False."""
        missing = self.blocks_for(num_tokens) - len(table.blocks)
        if missing > len(self._free):
            return False
        for _ in range(missing):
            table.blocks.append(self._take())
        self.peak_used = max(self.peak_used, self.num_used)
        return True

    def publish(self, table: BlockTable, tokens: Sequence[int], num_computed: int) -> None:
        """Offer the full blocks among the first ``num_computed`` positions for sharing.

        Where equal content is already published, the table keeps its own copy and follows the
        published chain, so that what comes after can still be shared.
        """
        if not self.enable_prefix_sharing:
            return
        size = self.block_size
        for i in range(len(table.links), num_computed // size):
            link = table.links[-1] if table.links else ROOT
            key = (link, tuple(tokens[i * size : (i + 1) * size]))
            block = self._published.get(key)
            if block is None:
                block = table.blocks[i]
                # Under the link that it had, so that what followed it is found again.
                self._publish(block, key, None if self.host is None else self.host.forget(key))
            table.links.append(self._link_of[block])

    def release(self, table: BlockTable) -> None:
        """Give up the table's share of its blocks and empty it."""
        # Last block first: a chain is evicted from its tail, for a tail without its head is lost.
        for block in reversed(table.blocks):
            self._owners[block] -= 1
            if self._owners[block] == 0:
                self._free[block] = None
                if block not in self._key_of:
                    self._free.move_to_end(block, last=False)
        table.blocks.clear()
        table.links.clear()

    def check_integrity(self, tables: Iterable[BlockTable]) -> None:
        """Recount everything from the live ``tables``; for tests and idle engines.

        Raises:
            AssertionError: A block is lost, owned twice, or published wrongly.
        """
        owners = [0] * self.num_blocks
        for table in tables:
            assert len(set(table.blocks)) == len(table.blocks), "a table holds a block twice"
            assert len(table.links) <= len(table.blocks), "more links than blocks"
            for block in table.blocks:
                owners[block] += 1
        assert owners == self._owners, "owner counts differ from the live tables"
        assert {b for b, n in enumerate(owners) if n == 0} == set(self._free), "free list is wrong"
        assert self.num_free + self.num_used == self.num_blocks
        for block, n in enumerate(owners):
            assert n <= 1 or block in self._key_of, "an unpublished block has two owners"
        assert {b: k for k, b in self._published.items()} == self._key_of, "published != keys"
        assert self._key_of.keys() == self._link_of.keys()
        assert len(set(self._link_of.values())) == len(self._link_of), "a link is used twice"
        if self.host is not None:
            self.host.check_integrity()
            assert not any(key in self.host for key in self._published), "a block is in two places"

    def _publish(self, block: int, key: _Key, link: int | None) -> None:
        if link is None:
            link = self._next_link
            self._next_link += 1
        self._published[key] = block
        self._key_of[block] = key
        self._link_of[block] = link

    def _restore(self, key: _Key, host: HostTier) -> int:
        """Take a block, order the held content copied into it, and publish it."""
        slot, link = host.take(key)  # first: the block taken may itself go to the host
        block = self._take()
        host.restore(slot, block)
        self._publish(block, key, link)
        return block

    def _own(self, block: int) -> None:
        if self._owners[block] == 0:
            del self._free[block]
        self._owners[block] += 1

    def _take(self) -> int:
        block, _ = self._free.popitem(last=False)
        key = self._key_of.pop(block, None)
        if key is not None:
            del self._published[key]
            link = self._link_of.pop(block)
            self.blocks_evicted += 1
            if self.host is not None:
                self.host.store(key, link, block)
        self._owners[block] = 1
        self.blocks_allocated += 1
        return block
