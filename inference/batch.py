"""From a step of the scheduler to the tensors of one forward pass."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import attrgetter
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from inference.lanes import Lanes
from inference.ops.attention import AttentionPlan
from inference.request import Request
from inference.sampling import SamplingBatch
from inference.scheduler import Chunk, Step
from inference.staging import Sizes, Staging

__all__ = ["Batch", "BatchBuilder"]

_by_start = attrgetter("start")


@dataclass(slots=True, eq=False)
class Batch:
    """What one forward pass reads, ragged: no token is padding unless the scheduler asked for it.

    Attributes:
        tokens: ``[T]`` int64.
        positions: ``[T]`` int64.
        slots: ``[T]`` int64, where each token's k and v are stored.
        plan: Rows of attention.
        sampled: Requests whose next token this step yields.
        sample_rows: Index of each one's last token among ``tokens``, ``[len(sampled)]`` int64;
            None where that is every token in order.
        sampling: How to draw those tokens.
    """

    tokens: Tensor
    positions: Tensor
    slots: Tensor
    plan: AttentionPlan
    sampled: list[Request]
    sample_rows: Tensor | None
    sampling: SamplingBatch


class BatchBuilder:
    """Lays steps out in buffers that are kept from step to step.

    The batch of a step is valid until the next one is built.

    Args:
        sizes: Of most steps: tokens, rows, and blocks of the longest sequence.
        block_size: Positions in a block.
        length_buckets: Group single-lane rows of similar context; off, they are one group.
        device: Where the tensors go.
    """

    def __init__(
        self, sizes: Sizes, *, block_size: int, length_buckets: bool, device: torch.device
    ) -> None:
        self._max_blocks = sizes.blocks
        self._block_size = block_size
        self._length_buckets = length_buckets
        self._lanes = Lanes(sizes.rows, sizes.blocks)
        self._staging = Staging(sizes, device, persistent=True)
        self._counting = tuple(range(sizes.rows + 1))

    def build(self, step: Step) -> Batch:
        """Lay out a step: single-lane chunks first and by context length, then the longer ones.

        The lanes of a chunk's padding hold token 0 at the positions after its own. Attention is
        causal, so no token of the request sees them, and what they store is overwritten before it
        is read.

        Args:
            step: At least one chunk, each with blocks for all its tokens.
        """
        num_single = len(step.chunks)
        # Single lanes come first, and most steps have nothing else.
        while num_single and step.chunks[num_single - 1].width > 1:
            num_single -= 1
        # Shortest context first, so that a group is a range of rows.
        singles = sorted(step.chunks[:num_single], key=_by_start)
        chunks = singles + step.chunks[num_single:]
        lanes = np.array(self._lanes.seat([c.request for c in chunks]))
        starts = self._counting[: num_single + 1]
        for chunk in chunks[num_single:]:
            starts += (starts[-1] + chunk.width,)
        lens = tuple([c.start + c.width for c in chunks])
        # A power of two, so that views of few shapes serve every step.
        width = min(1 << ((max(lens) - 1) // self._block_size).bit_length(), self._max_blocks)
        sizes = Sizes(starts[-1], len(chunks), width)
        host = self._staging.host_block(sizes)
        arrays = host.arrays
        if singles:
            self._pack_singles(arrays, singles, lanes[:num_single])
        for i in range(num_single, len(chunks)):
            self._pack_longer(arrays, chunks[i], lanes[i], starts[i])
        arrays["query_starts"][: len(starts)] = starts
        arrays["context_lens"][: len(lens)] = lens
        tables = arrays["block_tables"][: len(chunks) * width].reshape(-1, width)
        tables[:] = self._lanes.tables[:, :width][lanes]
        sampled = [c.request for c in chunks if c.is_last]
        every = len(sampled) == starts[-1]
        if not every:
            rows = [starts[i] + c.length - 1 for i, c in enumerate(chunks) if c.is_last]
            arrays["sample_rows"][: len(rows)] = rows
        device = self._staging.send(host, sizes)
        return Batch(
            tokens=device.first("tokens", sizes.tokens),
            positions=device.first("positions", sizes.tokens),
            slots=device.first("slots", sizes.tokens),
            plan=AttentionPlan(
                query_starts=device.first("query_starts", len(starts)),
                context_lens=device.first("context_lens", len(lens)),
                block_tables=device.first("block_tables", len(lens) * width).view(-1, width),
                block_size=self._block_size,
                host_query_starts=starts,
                host_context_lens=lens,
                single_groups=self._groups(lens[:num_single]),
                num_single=num_single,
            ),
            sampled=sampled,
            sample_rows=None if every else device.first("sample_rows", len(sampled)),
            sampling=SamplingBatch(
                params=[r.params for r in sampled],
                seeds=[r.seed for r in sampled],
                positions=[r.num_tokens for r in sampled],
            ),
        )

    def _pack_singles(
        self, arrays: dict[str, NDArray[Any]], chunks: Sequence[Chunk], lanes: NDArray[np.int64]
    ) -> None:
        count, size = len(chunks), self._block_size
        starts = arrays["positions"][:count]
        starts[:] = [c.start for c in chunks]
        index = starts // size
        offsets = starts - index * size
        for row in np.flatnonzero(offsets == 0).tolist():
            self._lanes.copy_blocks(lanes[row], chunks[row].request)
        arrays["tokens"][:count] = [c.request.tokens[c.start] for c in chunks]
        arrays["slots"][:count] = self._lanes.tables[lanes, index] * size + offsets

    def _pack_longer(
        self, arrays: dict[str, NDArray[Any]], chunk: Chunk, lane: int, first: int
    ) -> None:
        request, size = chunk.request, self._block_size
        self._lanes.copy_blocks(lane, request)
        positions = np.arange(chunk.start, chunk.start + chunk.width)
        span = slice(first, first + chunk.width)
        arrays["tokens"][span] = (
            request.tokens[chunk.start : chunk.start + chunk.length] + [0] * chunk.padding
        )
        arrays["positions"][span] = positions
        arrays["slots"][span] = (
            self._lanes.tables[lane, positions // size] * size + positions % size
        )

    def _groups(self, lens: Sequence[int]) -> tuple[tuple[int, int], ...]:
        """Cut rows sorted by context where the number of blocks passes a power of two.

        Padding then at most doubles what a group reads, and there are at most log2(blocks) groups.
        """
        if not lens:
            return ()
        bounds = {0, len(lens)}
        if self._length_buckets:
            first, last = (((n - 1) // self._block_size).bit_length() for n in (lens[0], lens[-1]))
            bounds |= {bisect_right(lens, self._block_size << i) for i in range(first, last)}
        return tuple(pairwise(sorted(bounds)))
