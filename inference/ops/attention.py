"""Attention over a paged KV cache, for decoding rows and prompt chunks of one step alike."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from inference.ops.kv_rows import decode
from inference.ops.registry import Op

__all__ = ["PAGED_ATTENTION", "AttentionPlan", "attend_chunk", "paged_attention"]

_QUERIES = 64  # computed together: more of them pass over more positions that they do not see


@dataclass(slots=True, eq=False)
class AttentionPlan:
    """Which query attends to what in one step; built once, read by every layer.

    Row ``i`` is one sequence: its queries are ``query_starts[i]`` to ``query_starts[i + 1]`` of
    the step's tokens and are the last positions of its context. Rows of a single query come first,
    shortest context first.

    The kernel reads the three device tensors and, of the host's values, the shapes and
    ``max_context`` alone. A captured CUDA graph therefore replays right when those tensors are
    overwritten in place with other rows of no longer context. Padding lanes there are rows of one
    query and context 0: they attend to nothing and yield zeros, and their tokens have slot -1,
    where nothing is stored. The reference knows no padding and reads the host's fields.

    Attributes:
        query_starts: ``[rows + 1]``, int32.
        context_lens: Positions each row may see, its own queries included, ``[rows]``, int32.
        block_tables: ``[rows, max_blocks]``, int32; entries beyond a row's context mean nothing.
        block_size: Positions in a block.
        host_query_starts: ``query_starts`` on the host, so that no op waits for the device.
        host_context_lens: ``context_lens`` on the host.
        single_groups: Half-open ranges of single-query rows that are computed together, each
            padded to its longest context.
        num_single: Rows of a single query.
        max_context: Bound of ``context_lens``; 0 takes the longest of ``host_context_lens``. A
            graph is captured with the longest context that it shall serve.
    """

    query_starts: Tensor
    context_lens: Tensor
    block_tables: Tensor
    block_size: int
    host_query_starts: tuple[int, ...]
    host_context_lens: tuple[int, ...]
    single_groups: tuple[tuple[int, int], ...]
    num_single: int
    max_context: int = 0
    _gathers: dict[tuple[int, int, int | None], tuple[Tensor | slice, Tensor | None]] = field(
        default_factory=dict
    )

    def __post_init__(self) -> None:
        self.max_context = self.max_context or max(self.host_context_lens, default=0)

    def num_kv_read(self, *, padded: bool) -> int:
        """Return the KV positions that attention reads.

        Args:
            padded: As the reference and NumPy read: of a group, all rows up to its longest context.
                The kernel reads every row to the end of its own.
        """
        lens = self.host_context_lens
        if not padded:
            return sum(lens)
        grouped = sum([lens[end - 1] * (end - start) for start, end in self.single_groups])
        return grouped + sum(lens[self.num_single :])

    def gather(
        self, start: int, end: int, window: int | None
    ) -> tuple[Tensor | slice, Tensor | None]:
        """Return cache slots and mask for rows ``[start, end)``, made on first use.

        Either one row, or several rows of a single query.

        Returns:
            Slots ``[rows, context]`` int64, or the slice of one row on a CPU whose slots follow one
            another, so that nothing is copied; and a mask (True: visible) that broadcasts to
            ``[rows, 1, queries, context]``, or None where every query sees the whole context.
        """
        key = (start, end, window)
        if key not in self._gathers:
            slots, mask = self._make_gather(start, end, window)
            self._gathers[key] = (_as_slice(slots), mask)
        return self._gathers[key]

    def _make_gather(
        self, start: int, end: int, window: int | None
    ) -> tuple[Tensor, Tensor | None]:
        lens = self.host_context_lens[start:end]
        longest = max(lens)
        num_queries = self.host_query_starts[start + 1] - self.host_query_starts[start]
        device = self.context_lens.device
        context = self.context_lens[start:end, None].long()  # [rows, 1]
        position = torch.arange(longest, device=device)  # [context]
        # Padding re-reads the row's position 0 rather than a slot that may hold another
        # sequence's data, or NaN: even a masked NaN would spoil the row.
        within = torch.where(position < context, position, 0)
        blocks = self.block_tables[start:end].long().gather(1, within // self.block_size)
        slots = blocks * self.block_size + within % self.block_size
        if num_queries == 1 and min(lens) == longest and (window is None or longest <= window):
            return slots, None
        query = context + torch.arange(-num_queries, 0, device=device)  # [rows, queries]
        visible = position <= query[..., None]
        if window is not None:
            visible &= position > query[..., None] - window
        return slots, visible[:, None]


def _as_slice(slots: Tensor) -> Tensor | slice:
    if len(slots) > 1 or slots.device.type != "cpu":  # reading them would wait for the device
        return slots
    (row,) = slots.tolist()
    follow = row == list(range(row[0], row[0] + len(row)))
    return slice(row[0], row[0] + len(row)) if follow else slots


def paged_attention(
    q: Tensor,
    k_cache: Tensor,
    v_cache: Tensor,
    plan: AttentionPlan,
    *,
    scale: float,
    window: int | None = None,
) -> Tensor:
    """Return softmax(q·kᵀ·scale)·v per head, causal, over each row's own blocks.

    Heads are grouped: query heads ``[g·n, (g + 1)·n)`` share kv head ``g``, ``n = heads /
    kv_heads``. Softmax runs in float32.

    Args:
        q: ``[T, heads, head_dim]``.
        k_cache: ``[blocks, block_size, kv_heads, row]``, the step's own keys included. A row is
            ``head_dim`` wide, or in 8 bits with a scale (``kv_rows``).
        v_cache: As ``k_cache``.
        plan: The rows of the step.
        scale: Usually ``head_dim ** -0.5``.
        window: Positions a query sees, itself included; None for all before it.

    Returns:
        New tensor, shape and dtype of ``q``.

    Cost:
        Reads 2·context·kv_heads·head_dim elements per row (min(context, window + queries) where
        there is a window) and writes T·heads·head_dim; 4·heads·head_dim FLOPs per visible pair.
        Memory-bound for a single query, compute-bound for long chunks.

    Source:
        Kwon et al. 2023, arXiv:2309.06180 (paging); Ainslie et al. 2023, arXiv:2305.13245
        (grouped heads).
    """
    _, heads, dim = q.shape
    kv_heads = k_cache.shape[-2]
    keys, values = (cache.view(-1, *cache.shape[2:]) for cache in (k_cache, v_cache))
    grouped = q.view(-1, kv_heads, heads // kv_heads, dim)
    attended = []
    for start, end in plan.single_groups:
        slots, mask = plan.gather(start, end, window)
        # One query per row leaves the query axis free for the heads of a group.
        rows = F.scaled_dot_product_attention(
            grouped[start:end],  # [rows, kv_heads, n, D]
            _at(keys, slots, q.dtype).transpose(1, 2),  # [rows, kv_heads, context, D]
            _at(values, slots, q.dtype).transpose(1, 2),
            attn_mask=mask,
            scale=scale,
        )
        attended.append(rows.reshape(-1, heads, dim))
    for row in range(plan.num_single, len(plan.host_context_lens)):
        slots, mask = plan.gather(row, row + 1, window)
        first, last = plan.host_query_starts[row : row + 2]
        k, v = (_at(cache, slots, q.dtype)[0] for cache in (keys, values))
        chunk = attend_chunk(grouped[first:last], k, v, mask, scale=scale)
        attended.append(chunk.view(-1, heads, dim))
    if not attended:
        return torch.empty_like(q)
    return attended[0] if len(attended) == 1 else torch.cat(attended)


def attend_chunk(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, *, scale: float) -> Tensor:
    """Return the attention of one row's queries, the last positions of its context.

    Args:
        q: ``[queries, kv_heads, n, head_dim]``.
        k: ``[context, kv_heads, head_dim]``.
        v: As ``k``.
        mask: True where visible, ``[1, 1, queries, context]``; None where all is.
        scale: As of ``paged_attention``.

    Returns:
        New tensor, shape and dtype of ``q``, contiguous.
    """
    attended = torch.empty(q.shape, dtype=q.dtype, device=q.device)
    for start in range(0, len(q), _QUERIES):
        end = min(start + _QUERIES, len(q))
        seen = len(k) - len(q) + end
        rows = F.scaled_dot_product_attention(
            q[start:end].permute(1, 2, 0, 3),  # [kv_heads, n, queries, D]
            k[:seen].transpose(0, 1).unsqueeze(1),  # [kv_heads, 1, context, D]
            v[:seen].transpose(0, 1).unsqueeze(1),
            attn_mask=None if mask is None else mask[..., start:end, :seen],
            scale=scale,
            enable_gqa=True,
        )
        attended[start:end] = rows.permute(2, 0, 1, 3)
    return attended


def _at(cache: Tensor, slots: Tensor | slice, dtype: torch.dtype) -> Tensor:
    """Return the cache's ``[rows, context, kv_heads, D]`` at ``slots``, of the dtype."""
    in_8_bits = cache.dtype.itemsize == 1
    rows = cache.view(torch.int8) if in_8_bits else cache  # not every device copies float8
    if isinstance(slots, slice):
        rows = rows[slots].unsqueeze(0)
    else:
        # Half the time of rows[slots], which does not see that whole rows are copied.
        rows = rows.index_select(0, slots.flatten()).view(*slots.shape, *rows.shape[1:])
    return decode(rows.view(cache.dtype), dtype) if in_8_bits else rows


PAGED_ATTENTION = Op(
    "paged_attention", paged_attention, "inference.ops.triton.attention:paged_attention"
)
