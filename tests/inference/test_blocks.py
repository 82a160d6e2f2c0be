"""The block manager against a model that remembers everything."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    rule,
)

from inference.blocks import BlockManager, BlockTable
from inference.counters import Counters
from inference.host_tier import HostTier

SIZE = 3


class BlockMachine(RuleBasedStateMachine):
    """Sequences come, grow, are computed and go, in any order, with host memory behind or without.

    ``content`` is what a device would hold: the chain of all tokens up to the end of each block,
    written when its positions are computed. A hit is right only if the block's content is.
    """

    live: Bundle[int] = Bundle("live")

    def __init__(self) -> None:
        super().__init__()
        self.tables: dict[int, BlockTable] = {}
        self.tokens: dict[int, list[int]] = {}
        self.computed: dict[int, int] = {}
        self.content: dict[int, tuple[int, ...]] = {}
        self.host_content: dict[int, tuple[int, ...]] = {}
        self.count = 0

    @initialize(host_blocks=st.sampled_from([0, 1, 4]))
    def make(self, host_blocks: int) -> None:
        self.host = HostTier(host_blocks) if host_blocks else None
        self.manager = BlockManager(7, SIZE, host=self.host)

    def copy(self) -> None:
        for to, block, slot in self.host.take_copies() if self.host else ():
            if to == "host":
                self.host_content[slot] = self.content[block]
            else:
                self.content[block] = self.host_content[slot]

    @rule(target=live, tokens=st.lists(st.integers(0, 1), min_size=1, max_size=14))
    def start(self, tokens: list[int]) -> int:
        self.count += 1
        table = BlockTable()
        used = self.manager.num_used
        cached = self.manager.acquire_prefix(table, tokens)
        self.copy()
        assert cached % SIZE == 0
        assert cached < len(tokens), "one token must be left to compute"
        assert len(table.blocks) == cached // SIZE
        for i, block in enumerate(table.blocks):
            assert self.content[block] == tuple(tokens[: (i + 1) * SIZE])
        assert self.manager.num_used >= used
        self.tables[self.count] = table
        self.tokens[self.count] = list(tokens)
        self.computed[self.count] = cached
        return self.count

    @rule(which=live, by=st.integers(1, 6))
    def compute(self, which: int, by: int) -> None:
        table, tokens = self.tables[which], self.tokens[which]
        end = min(self.computed[which] + by, len(tokens))
        free, held = self.manager.num_free, len(table.blocks)
        wanted = -(-end // SIZE)
        fits = self.manager.grow(table, end)
        self.copy()
        assert fits == (wanted - held <= free)
        if not fits:
            assert (self.manager.num_free, len(table.blocks)) == (free, held)
            return
        assert len(table.blocks) == max(wanted, held)
        for position in range(self.computed[which], end):
            index = position // SIZE
            for other, table_of_other in self.tables.items():
                assert other == which or table.blocks[index] not in table_of_other.blocks, (
                    "a block that is written to is shared"
                )
            self.content[table.blocks[index]] = tuple(tokens[: position + 1])
        self.computed[which] = end
        self.manager.publish(table, tokens, end)

    @rule(which=live, token=st.integers(0, 1))
    def append(self, which: int, token: int) -> None:
        if self.computed[which] == len(self.tokens[which]):
            self.tokens[which].append(token)

    @rule(which=consumes(live))
    def finish(self, which: int) -> None:
        self.manager.release(self.tables.pop(which))
        del self.tokens[which], self.computed[which]

    @invariant()
    def nothing_is_lost_or_owned_twice(self) -> None:
        self.manager.check_integrity(self.tables.values())
        assert self.manager.num_free + self.manager.num_used == self.manager.num_blocks

    @invariant()
    def tables_hold_their_own_tokens(self) -> None:
        for which, table in self.tables.items():
            for i in range(self.computed[which] // SIZE):
                expected = tuple(self.tokens[which][: (i + 1) * SIZE])
                assert self.content[table.blocks[i]] == expected

    def teardown(self) -> None:
        if not hasattr(self, "manager"):
            return
        for table in self.tables.values():
            self.manager.release(table)
        self.manager.check_integrity([])
        assert self.manager.num_free == self.manager.num_blocks


TestBlockMachine = BlockMachine.TestCase
TestBlockMachine.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)


def run(manager: BlockManager, tokens: Sequence[int]) -> tuple[BlockTable, int]:
    table = BlockTable()
    cached = manager.acquire_prefix(table, tokens)
    assert manager.grow(table, len(tokens))
    manager.publish(table, tokens, len(tokens))
    return table, cached


def test_blocks_without_content_are_taken_before_any_content_is_evicted() -> None:
    manager = BlockManager(6, 2)
    kept, _ = run(manager, [1, 2, 3, 4])
    manager.release(kept)
    other, _ = run(manager, [9, 9, 9, 9, 9, 9, 9])
    assert manager.blocks_evicted == 0
    manager.release(other)
    run(manager, [8])
    assert manager.blocks_evicted == 0, "the other's last, partial block was there to take"
    assert run(manager, [1, 2, 3, 4, 5])[1] == 4


def test_the_least_recently_used_content_goes_first_and_from_its_tail() -> None:
    manager = BlockManager(5, 1)
    for tokens in ([1, 2], [3, 4]):
        manager.release(run(manager, tokens)[0])
    manager.release(run(manager, [1, 2, 7])[0])  # used again: now the newer
    manager.release(run(manager, [5])[0])
    assert manager.blocks_evicted == 1
    assert run(manager, [3, 9])[1] == 1, "the head of the older chain outlives its tail"


def test_equal_content_computed_twice_is_followed_not_forked() -> None:
    manager = BlockManager(8, 2)
    first, second = BlockTable(), BlockTable()
    for table in (first, second):  # both admitted before either was computed
        assert manager.acquire_prefix(table, [1, 2, 3]) == 0
        assert manager.grow(table, 3)
    for table in (first, second):
        manager.publish(table, [1, 2, 3], 3)
    assert first.links == second.links
    assert first.blocks != second.blocks
    manager.check_integrity([first, second])


def test_without_sharing_nothing_is_ever_found() -> None:
    manager = BlockManager(8, 2, enable_prefix_sharing=False)
    manager.release(run(manager, [1, 2, 3, 4, 5])[0])
    assert run(manager, [1, 2, 3, 4, 5])[1] == 0


def counters_of(manager: BlockManager) -> Counters:
    counters = Counters()
    counters.register(manager, manager.COUNTERS)
    return counters


def test_a_prefix_taken_and_given_back_leaves_no_trace_in_the_peak() -> None:
    manager = BlockManager(8, 2)
    manager.release(run(manager, [1, 2, 3, 4, 5])[0])
    counters_of(manager).reset()
    table = BlockTable()
    assert manager.acquire_prefix(table, [1, 2, 3, 4, 5]) == 4
    manager.release(table)  # as when there is no room for the rest
    assert (manager.peak_used, manager.blocks_allocated) == (0, 0)


def test_counters_count_blocks_handed_out() -> None:
    manager = BlockManager(8, 2)
    table, _ = run(manager, [1, 2, 3, 4, 5])
    assert (manager.blocks_allocated, manager.peak_used) == (3, 3)
    manager.release(table)
    counters_of(manager).reset()
    run(manager, [1, 2, 3, 4, 9])  # two shared, one new
    assert (manager.blocks_allocated, manager.peak_used) == (1, 3)


def test_what_the_cache_has_no_room_for_comes_back_from_the_host() -> None:
    host = HostTier(4)
    manager = BlockManager(2, SIZE, host=host)
    first, second = [0] * 7, [1] * 6
    table, _ = run(manager, first[:6])
    manager.publish(table, first, 6)
    manager.release(table)
    table, cached = run(manager, second)  # takes both blocks
    assert cached == 0
    assert [(c.to, c.slot) for c in host.take_copies()] == [("host", 3), ("host", 2)]
    manager.release(table)
    table = BlockTable()
    assert manager.acquire_prefix(table, first) == 6
    # Each block taken for it goes out first.
    assert [c.to for c in host.take_copies()] == ["host", "device"] * 2
    assert (host.blocks_stored, host.blocks_restored) == (4, 2)
    manager.check_integrity([table])
