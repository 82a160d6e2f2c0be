"""From a step of the scheduler to the tensors of one forward pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import torch
from torch import Tensor

from inference.ops.attention import AttentionPlan
from inference.request import Request
from inference.sampling import SamplingBatch
from inference.scheduler import Chunk, Step

__all__ = ["Batch", "build_batch"]


@dataclass(frozen=True, slots=True)
class Batch:
    """What one forward pass reads, ragged: no token is padding unless the scheduler asked for it.

    Attributes:
        tokens: ``[T]`` int64.
        positions: ``[T]`` int64.
        slots: ``[T]`` int64, where each token's k and v are stored.
        plan: Rows of attention.
        sampled: Requests whose next token this step yields.
        sample_rows: Index of each one's last token among ``tokens``, ``[len(sampled)]`` int64.
        sampling: How to draw those tokens.
    """

    tokens: Tensor
    positions: Tensor
    slots: Tensor
    plan: AttentionPlan
    sampled: tuple[Request, ...]
    sample_rows: Tensor
    sampling: SamplingBatch


def build_batch(
    step: Step, *, block_size: int, length_buckets: bool, device: torch.device
) -> Batch:
    """Lay out a step: single-lane chunks first and by context length, then the longer ones.

    The lanes of a chunk's padding hold token 0 at the positions after its own. Attention is causal, so
    no token of the request sees them, and what they store is overwritten before it is read.

    Args:
        step: At least one chunk, each with blocks for all its tokens.
        block_size: Positions in a block.
        length_buckets: Group single-lane rows of similar context; off, they are one group.
        device: Where the tensors go.
    """
    singles = [c for c in step.chunks if c.width == 1]
    # Shortest context first, so that a group is a range of rows.
    singles.sort(key=lambda c: c.start)
    chunks = singles + [c for c in step.chunks if c.width > 1]
    tokens: list[int] = []
    positions: list[int] = []
    slots: list[int] = []
    for chunk in chunks:
        blocks = chunk.request.table.blocks
        span = range(chunk.start, chunk.start + chunk.width)
        tokens += chunk.request.tokens[chunk.start : chunk.start + chunk.length]
        tokens += [0] * chunk.padding
        positions += span
        slots += [blocks[p // block_size] * block_size + p % block_size for p in span]
    starts = tuple(accumulate((c.width for c in chunks), initial=0))
    lens = tuple(c.start + c.width for c in chunks)
    widest = -(-max(lens) // block_size)
    tables = [(c.request.table.blocks + [0] * widest)[:widest] for c in chunks]
    last = [(starts[i] + c.length - 1, c.request) for i, c in enumerate(chunks) if c.is_last]
    sampled = tuple(request for _, request in last)

    def tensor(values: Sequence[object], dtype: torch.dtype = torch.int64) -> Tensor:
        return torch.tensor(values, dtype=dtype, device=device)

    return Batch(
        tokens=tensor(tokens),
        positions=tensor(positions),
        slots=tensor(slots),
        plan=AttentionPlan(
            query_starts=tensor(starts, torch.int32),
            context_lens=tensor(lens, torch.int32),
            block_tables=tensor(tables, torch.int32),
            block_size=block_size,
            host_query_starts=starts,
            host_context_lens=lens,
            single_groups=_groups(singles, block_size, split=length_buckets),
            num_single=len(singles),
        ),
        sampled=sampled,
        sample_rows=tensor([row for row, _ in last]),
        sampling=SamplingBatch(
            params=[r.params for r in sampled],
            seeds=[r.seed for r in sampled],
            positions=[len(r.tokens) for r in sampled],
        ),
    )


def _groups(
    singles: Sequence[Chunk], block_size: int, *, split: bool
) -> tuple[tuple[int, int], ...]:
    """Cut rows sorted by context where the number of blocks passes a power of two.

    Padding then at most doubles what a group reads, and there are at most log2(blocks) groups.
    """
    if not singles:
        return ()
    bounds = [0]
    if split:
        sizes = [(c.start // block_size).bit_length() for c in singles]
        bounds += [i for i in range(1, len(sizes)) if sizes[i] != sizes[i - 1]]
    bounds.append(len(singles))
    return tuple(pairwise(bounds))
