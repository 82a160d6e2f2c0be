"""Builds the tensors of one forward pass from a step of the scheduler."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from operator import attrgetter
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from inference.lanes import Lanes
from inference.ops.attention import AttentionPlan
from inference.request import Request
from inference.scheduler import Chunk, Step
from inference.staging import Block, Sizes, Staging

__all__ = ["Batch", "BatchBuilder"]

_PENDING = -1  # a token that the device knows, and the host does not yet
_NOWHERE = -1  # the slot of a row of padding
_SAMPLING = ("temperature", "top_k", "top_p", "seeds", "sample_positions")
_COUNTING = ("positions", "slots", "context_lens", "sample_positions")  # grow by 1 a step
_by_start = attrgetter("start")
_Arrays = dict[str, NDArray[Any]]


@dataclass(slots=True, eq=False)
class Batch:
    """The ragged inputs of one forward pass, without padding unless static batches or a graph need it.

    Attributes:
        tokens: ``[T]`` int64. Below 0 it is the one sampled last in the row's lane.
        positions: ``[T]`` int64.
        slots: ``[T]`` int64, where each token's k and v are stored; -1 is nowhere.
        plan: Rows of attention.
        sampled: Requests whose next token this step yields.
        sample_rows: Index of each one's last token among ``tokens``, ``[sampled]`` int64; None
            where that is every token in order.
        sampling: Temperature, top-k, top-p, seed and position of each token drawn: what the op
            ``sample`` takes beside the logits.
        lanes: Of the rows of a single token, ``[plan.num_single]`` int64.
        sample_lanes: Of the sampled requests, ``[sampled]`` int64.
        has_pending: Whether any of ``tokens`` is below 0.
        num_lanes: T.
        looked_at: Which of ``sampled`` need their logits on the host (see ``adjust``).
    """

    tokens: Tensor
    positions: Tensor
    slots: Tensor
    plan: AttentionPlan
    sampled: list[Request]
    sample_rows: Tensor | None
    sampling: tuple[Tensor, ...]
    lanes: Tensor
    sample_lanes: Tensor
    has_pending: bool
    num_lanes: int
    looked_at: tuple[int, ...] = ()


@dataclass(slots=True, eq=False)
class _Decoding:
    """A step whose every row was one token and yielded the next, as it lies in its block."""

    requests: list[Request]  # as the scheduler gave them
    next_starts: list[int]  # where each of them goes on
    rows: list[Request]  # as they lie in the batch
    lens: tuple[int, ...]  # context of each row
    lanes: list[int]  # of each row
    sizes: Sizes
    batch: Batch
    # Of the rows, in the block on the host:
    tokens: NDArray[Any]
    slots: NDArray[Any]
    tables: NDArray[Any]
    counting: list[NDArray[Any]]


class BatchBuilder:
    """Builds batches in memory that is reused from step to step.

    Most steps compute the next token of the same rows as the step before. These rows are updated in
    place, and only new blocks are written to the block tables. Any other step is built from
    scratch.

    Args:
        sizes: Of most steps: tokens, rows, and blocks of the longest sequence.
        block_size: Positions in a block.
        length_buckets: Group rows of a single token by context; off, they are one group.
        persistent: Off, every step is built from scratch in memory of its own.
        device: Where the tensors go.
        padded: Gives the sizes that a step is padded to, where every row is one token and yields
            the next; None pads nothing.
    """

    def __init__(
        self,
        sizes: Sizes,
        *,
        block_size: int,
        length_buckets: bool,
        persistent: bool,
        device: torch.device,
        padded: Callable[[Sizes], Sizes] | None = None,
    ) -> None:
        self._max_blocks = sizes.blocks
        self._num_lanes = sizes.rows
        self._block_size = block_size
        self._length_buckets = length_buckets
        self._persistent = persistent
        self._padded = padded
        self._lanes = Lanes(sizes.rows, sizes.blocks)
        # Decoding steps have a small block of their own, so that little crosses to the device.
        decoding = Sizes(sizes.rows, sizes.rows, sizes.blocks)
        self._decoding = Staging(decoding, device, persistent=persistent)
        self._mixed = Staging(sizes, device, persistent=persistent)
        self._counting = tuple(range(sizes.rows + 1))
        self._last: _Decoding | None = None

    def build(self, step: Step) -> Batch:
        """Build the batch of a step: rows of one token first, by context length, then longer rows.

        The lanes of a chunk's padding hold some token at the positions after its own. Attention is
        causal, so no token of the request sees them, and what they store is overwritten before it
        is read.

        Args:
            step: At least one chunk, each with blocks for all its tokens.

        Returns:
            Valid until the next call.
        """
        last = self._last
        if (
            last is not None
            and step.starts == last.next_starts
            and step.requests == last.requests
            and not any(step.drafts)
            and last.lens[-1] < last.sizes.blocks * self._block_size
        ):
            return self._go_on(last)
        return self._lay_out(step.chunks)

    def padding(self, sizes: Sizes) -> Batch:
        """Return a decoding step that consists of padding only, in the memory of real steps.

        It runs every kernel of a step of those sizes and changes no lane and no cache.

        Args:
            sizes: As the engine pads to: as many tokens as rows.
        """
        self._last = None
        host = self._decoding.block(sizes)
        self._pad(host.arrays, 0, sizes.rows)
        block = self._decoding.send(host, sizes)
        starts = self._counting[: sizes.rows + 1]
        return self._batch(block, sizes, [], starts, (), 0, decodes=True, has_pending=False)

    def _go_on(self, last: _Decoding) -> Batch:
        """Advance every row of the last step by one token."""
        size = self._block_size
        host = self._decoding.block(last.sizes)
        for numbers in last.counting:
            numbers += 1
        last.tokens[:] = tokens = [
            _PENDING if request.num_pending else request.tokens[-1] for request in last.rows
        ]
        for row in [row for row, start in enumerate(last.lens) if start % size == 0]:
            request, index = last.rows[row], last.lens[row] // size
            self._lanes.copy_blocks(last.lanes[row], request)
            last.tables[row, index] = block = request.table.blocks[index]
            last.slots[row] = block * size
        last.next_starts = [start + 1 for start in last.next_starts]
        last.lens = tuple([context + 1 for context in last.lens])
        self._decoding.send(host, last.sizes)
        batch = last.batch
        plan = batch.plan
        batch.plan = AttentionPlan(
            query_starts=plan.query_starts,
            context_lens=plan.context_lens,
            block_tables=plan.block_tables,
            block_size=size,
            host_query_starts=plan.host_query_starts,
            host_context_lens=last.lens,
            single_groups=self._groups(last.lens),
            num_single=len(last.rows),
            max_context=self._max_context(last.sizes),
        )
        batch.has_pending = _PENDING in tokens
        return batch

    def _lay_out(self, given: Sequence[Chunk]) -> Batch:
        num_single = len(given)
        # They come first, and most steps have nothing else.
        while num_single and given[num_single - 1].width > 1:
            num_single -= 1
        # Shortest context first, so that a group is a range of rows.
        chunks = [*sorted(given[:num_single], key=_by_start), *given[num_single:]]
        rows = [c.request for c in chunks]
        lanes = np.array(self._lanes.seat(rows))
        starts = tuple(accumulate((c.width for c in chunks), initial=0))
        lens = tuple(c.start + c.width for c in chunks)
        is_last = [c.is_last for c in chunks]
        # A request with guesses yields a token for each of them and one more.
        counts = [c.drafts + 1 if last else 0 for c, last in zip(chunks, is_last, strict=True)]
        sampled = [r for r, count in zip(rows, counts, strict=True) for _ in range(count)]
        decodes = num_single == len(chunks) and len(sampled) == starts[-1]
        # A power of two, so that views of few shapes serve every step.
        width = min(1 << ((max(lens) - 1) // self._block_size).bit_length(), self._max_blocks)
        sizes = Sizes(starts[-1], len(rows), width, max(len(sampled), len(rows)))
        if decodes and self._padded is not None:
            sizes = self._padded(sizes)
        staging = self._decoding if decodes else self._mixed
        host = staging.block(sizes)
        arrays = host.arrays
        self._pack_singles(arrays, chunks[:num_single], lanes[:num_single])
        for i in range(num_single, len(chunks)):
            self._pack_longer(arrays, chunks[i], int(lanes[i]), starts[i])
        arrays["query_starts"][: len(starts)] = starts
        arrays["context_lens"][: len(lens)] = lens
        tables = arrays["block_tables"][: sizes.rows * sizes.blocks].reshape(sizes.rows, -1)
        tables[: len(rows)] = self._lanes.tables[:, : sizes.blocks][lanes]
        if not decodes:
            ends = [
                starts[i] + c.length - 1 - left
                for i, c in enumerate(chunks)
                for left in range(counts[i] - 1, -1, -1)
            ]
            arrays["sample_rows"][: len(sampled)] = ends
        self._pack_sampling(arrays, sampled, np.repeat(lanes, counts), counts)
        if sizes.rows > len(rows):
            self._pad(arrays, len(rows), sizes.rows)
            starts = self._counting[: sizes.rows + 1]
        block = staging.send(host, sizes)
        batch = self._batch(
            block, sizes, sampled, starts, lens, num_single,
            decodes=decodes, has_pending=bool((arrays["tokens"][:num_single] < 0).any()),
        )  # fmt: skip
        self._last = None
        if decodes and self._persistent:
            self._last = _Decoding(
                requests=[c.request for c in given],
                next_starts=[c.start + 1 for c in given],
                rows=rows,
                lens=lens,
                lanes=lanes.tolist(),
                sizes=sizes,
                batch=batch,
                tokens=arrays["tokens"][: len(rows)],
                slots=arrays["slots"][: len(rows)],
                tables=tables[: len(rows)],
                counting=[arrays[name][: len(rows)] for name in _COUNTING],
            )
        return batch

    def _batch(
        self,
        block: Block,
        sizes: Sizes,
        sampled: list[Request],
        starts: tuple[int, ...],
        lens: tuple[int, ...],
        num_single: int,
        *,
        decodes: bool,
        has_pending: bool,
    ) -> Batch:
        """Return the arrays of a block as a batch."""
        num_sampled = sizes.rows if decodes else len(sampled)
        return Batch(
            tokens=block.first("tokens", sizes.tokens),
            positions=block.first("positions", sizes.tokens),
            slots=block.first("slots", sizes.tokens),
            plan=self._plan(block, sizes, starts, lens, num_single),
            sampled=sampled,
            sample_rows=None if decodes else block.first("sample_rows", num_sampled),
            sampling=tuple([block.first(name, num_sampled) for name in _SAMPLING]),
            lanes=block.first("lanes", sizes.rows if decodes else num_single),
            sample_lanes=block.first("sample_lanes", num_sampled),
            has_pending=has_pending,
            num_lanes=sizes.tokens,
            looked_at=tuple([i for i, r in enumerate(sampled) if r.params.looks_at_logits]),
        )

    def _pack_singles(
        self, arrays: _Arrays, chunks: Sequence[Chunk], lanes: NDArray[np.int64]
    ) -> None:
        count, size = len(chunks), self._block_size
        starts = arrays["positions"][:count]
        starts[:] = [c.start for c in chunks]
        index = starts // size
        offsets = starts - index * size
        for row in np.flatnonzero(offsets == 0).tolist():
            self._lanes.copy_blocks(int(lanes[row]), chunks[row].request)
        arrays["tokens"][:count] = [_token(c) for c in chunks]
        arrays["slots"][:count] = self._lanes.tables[lanes, index] * size + offsets
        arrays["lanes"][:count] = lanes

    def _pack_longer(self, arrays: _Arrays, chunk: Chunk, lane: int, first: int) -> None:
        request, size = chunk.request, self._block_size
        self._lanes.copy_blocks(lane, request)
        positions = np.arange(chunk.start, chunk.start + chunk.width)
        span = slice(first, first + chunk.width)
        tokens = request.tokens[chunk.start : chunk.start + chunk.length - chunk.drafts]
        tokens += request.drafts[: chunk.drafts]
        arrays["tokens"][span] = tokens + [0] * chunk.padding
        arrays["positions"][span] = positions
        slots = self._lanes.tables[lane, positions // size] * size + positions % size
        arrays["slots"][span] = slots

    def _pack_sampling(
        self,
        arrays: _Arrays,
        sampled: Sequence[Request],
        lanes: NDArray[np.int64],
        counts: Sequence[int],
    ) -> None:
        count = len(sampled)
        arrays["sample_lanes"][:count] = lanes
        arrays["temperature"][:count] = self._lanes.temperature[lanes]
        arrays["top_k"][:count] = self._lanes.top_k[lanes]
        arrays["top_p"][:count] = self._lanes.top_p[lanes]
        arrays["seeds"][:count] = self._lanes.seeds[lanes]
        places = arrays["sample_positions"][:count]
        places[:] = [request.num_tokens for request in sampled]
        if max(counts) > 1:
            places += [place for number in counts for place in range(number)]

    def _pad(self, arrays: _Arrays, start: int, end: int) -> None:
        """Fill rows with padding: they see nothing, store nothing, and sample into no lane."""
        for name in ("tokens", "positions", "context_lens", "temperature"):
            arrays[name][start:end] = 0
        arrays["slots"][start:end] = _NOWHERE
        for name in ("lanes", "sample_lanes"):
            arrays[name][start:end] = self._num_lanes
        arrays["query_starts"][: end + 1] = self._counting[: end + 1]

    def _plan(
        self,
        block: Block,
        sizes: Sizes,
        starts: tuple[int, ...],
        lens: tuple[int, ...],
        num_single: int,
    ) -> AttentionPlan:
        entries = block.first("block_tables", sizes.rows * sizes.blocks)
        return AttentionPlan(
            query_starts=block.first("query_starts", sizes.rows + 1),
            context_lens=block.first("context_lens", sizes.rows),
            block_tables=entries.view(sizes.rows, sizes.blocks),
            block_size=self._block_size,
            host_query_starts=starts,
            host_context_lens=lens,
            single_groups=self._groups(lens[:num_single]),
            num_single=num_single,
            max_context=self._max_context(sizes),
        )

    def _max_context(self, sizes: Sizes) -> int:
        """Return the longest context that the shapes of a padded step serve; 0 takes its own."""
        return 0 if self._padded is None else sizes.blocks * self._block_size

    def _groups(self, lens: Sequence[int]) -> tuple[tuple[int, int], ...]:
        """Cut rows sorted by context where the number of blocks passes a power of two.

        Padding then at most doubles what a group reads, and there are at most log2(blocks) groups.
        """
        if not lens:
            return ()
        if not self._length_buckets:
            return ((0, len(lens)),)
        size = self._block_size
        first, last = (lens[0] - 1) // size, (lens[-1] - 1) // size
        powers = range(first.bit_length(), last.bit_length())
        if not powers:
            return ((0, len(lens)),)
        bounds = [0, *(bisect_right(lens, size << power) for power in powers), len(lens)]
        return tuple((a, b) for a, b in pairwise(bounds) if a < b)


def _token(chunk: Chunk) -> int:
    tokens = chunk.request.tokens
    if chunk.padding:  # an ended lane: any token will do
        return tokens[-1]
    return tokens[chunk.start] if chunk.start < len(tokens) else _PENDING
