"""Arguments for every op: the smallest shapes that reach each branch of its kernel.

A case makes its arguments for a dtype and a device, the same values every time. Shapes are small
because the interpreter takes milliseconds a program; those marked ``large`` run on a GPU only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor

from inference.ops.attention import AttentionPlan
from inference.ops.kv_rows import encode

__all__ = ["CASES", "Case", "Draw", "make_plan"]


class Draw:
    """Random tensors of one dtype on one device, the same for every instance.

    Drawn in float32 on the CPU, so that every dtype and device rounds the same numbers.
    """

    def __init__(self, dtype: torch.dtype, device: torch.device) -> None:
        self.dtype, self.device = dtype, device
        self._generator = torch.Generator().manual_seed(0)

    def normal(self, *shape: int) -> Tensor:
        """Return N(0, 1) in the case's dtype."""
        return torch.randn(shape, generator=self._generator).to(self.device, self.dtype)

    def angles(self, *shape: int) -> tuple[Tensor, Tensor]:
        """Return cosines and sines, float32."""
        angles = 7 * torch.randn(shape, generator=self._generator)
        return angles.cos().to(self.device), angles.sin().to(self.device)

    def below(self, high: int, *shape: int) -> Tensor:
        """Return int64 in ``[0, high)``."""
        return torch.randint(high, shape, generator=self._generator).to(self.device)

    def poison(self, *shape: int) -> Tensor:
        """Return NaN in the case's dtype."""
        return torch.full(shape, torch.nan, dtype=self.dtype, device=self.device)


@dataclass(frozen=True)
class Case:
    """One call: ``make`` returns its positional and its keyword arguments."""

    name: str
    make: Callable[[Draw], tuple[tuple[Any, ...], dict[str, Any]]]
    large: bool = False


def _embedding(tokens: int, hidden: int, *, large: bool = False) -> Case:
    return Case(
        f"{tokens}x{hidden}",
        lambda draw: ((draw.below(11, tokens), draw.normal(11, hidden)), {}),
        large,
    )


def _rms_norm(rows: int, hidden: int, *, large: bool = False) -> Case:
    return Case(
        f"{rows}x{hidden}",
        lambda draw: ((draw.normal(rows, hidden), draw.normal(hidden)), {"eps": 0.1}),
        large,
    )


def _add_rms_norm(rows: int, hidden: int, *, large: bool = False) -> Case:
    def make(draw: Draw) -> tuple[tuple[Any, ...], dict[str, Any]]:
        x, residual = draw.normal(rows, hidden), draw.normal(rows, hidden)
        return (x, residual, draw.normal(hidden)), {"eps": 0.1}

    return Case(f"{rows}x{hidden}", make, large)


def _silu_mul(tokens: int, width: int, *, large: bool = False) -> Case:
    return Case(
        f"{tokens}x{width}", lambda draw: ((3 * draw.normal(tokens, 2 * width),), {}), large
    )


def _rope_store(
    tokens: int,
    heads: tuple[int, int],
    dim: int,
    *,
    normed: bool = False,
    large: bool = False,
) -> Case:
    def make(draw: Draw) -> tuple[tuple[Any, ...], dict[str, Any]]:
        num_heads, kv_heads = heads
        block_size = 5
        # Two blocks more than the tokens need: nothing may be written there.
        num_blocks = tokens // block_size + 3
        slots = torch.randperm(num_blocks * block_size, generator=torch.Generator().manual_seed(1))
        args = (
            draw.normal(tokens, (num_heads + 2 * kv_heads) * dim),
            *draw.angles(tokens, dim // 2),
            slots[:tokens].to(draw.device),
            draw.poison(num_blocks, block_size, kv_heads, dim),
            draw.poison(num_blocks, block_size, kv_heads, dim),
            *((draw.normal(dim), draw.normal(dim)) if normed else (None, None)),
        )
        return args, {"eps": 0.1}

    name = f"{tokens}x{heads[0]}:{heads[1]}x{dim}{'n' if normed else ''}"
    return Case(name, make, large)


def _linear(
    rows: int, width: int, num_out: int, *, bias: bool = False, large: bool = False
) -> Case:
    def make(draw: Draw) -> tuple[tuple[Any, ...], dict[str, Any]]:
        # Small enough that a sum of `width` products stays near 1, where the tolerance is meant.
        weight = draw.normal(num_out, width) * width**-0.5
        return (draw.normal(rows, width), weight, draw.normal(num_out) if bias else None), {}

    return Case(f"{rows}x{width}x{num_out}{'b' if bias else ''}", make, large)


def _linear_silu_mul(rows: int, width: int, num_out: int, *, large: bool = False) -> Case:
    def make(draw: Draw) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return (draw.normal(rows, width), draw.normal(2 * num_out, width) * width**-0.5), {}

    return Case(f"{rows}x{width}x{num_out}", make, large)


def _sample(name: str, vocab: int, rows: list[tuple[float, int, float]], **more: Any) -> Case:
    """``rows`` are (temperature, top k, top p)."""

    def make(draw: Draw) -> tuple[tuple[Any, ...], dict[str, Any]]:
        logits = 4 * draw.normal(len(rows), vocab)
        for at, value in more.get("put", ()):
            logits[at] = value
        heat, top_k, top_p = zip(*rows, strict=True) if rows else ((), (), ())
        more_than_32_bits = 2**33 + 7
        return (
            logits,
            torch.tensor(heat, dtype=torch.float32, device=draw.device),
            torch.tensor(top_k, dtype=torch.int32, device=draw.device),
            torch.tensor(top_p, dtype=torch.float32, device=draw.device),
            draw.below(1000, len(rows)) * more_than_32_bits,
            draw.below(1000, len(rows)),
        ), {}

    return Case(name, make, more.get("large", False))


def _paged_attention(
    rows: list[tuple[int, int]],
    heads: tuple[int, int],
    dim: int,
    *,
    block_size: int = 16,
    window: int | None = None,
    int8: bool = False,
    large: bool = False,
) -> Case:
    """``rows`` are (queries, context), those of a single query first; ``int8`` caches are in 8 bits."""

    def make(draw: Draw) -> tuple[tuple[Any, ...], dict[str, Any]]:
        num_heads, kv_heads = heads
        needed = [-(-context // block_size) for _, context in rows]
        # Two blocks belong to no row; they and the ends of the others hold NaN.
        num_blocks = sum(needed) + 2
        order = torch.randperm(num_blocks, generator=torch.Generator().manual_seed(1)).tolist()
        tables = [[order.pop() for _ in range(n)] for n in needed]
        caches = []
        for _ in "kv":
            cache = draw.poison(num_blocks, block_size, kv_heads, dim)
            slots = cache.view(-1, kv_heads, dim)
            for (_, context), table in zip(rows, tables, strict=True):
                position = torch.arange(context)
                block = torch.tensor(table, dtype=torch.int64)[position // block_size]
                slots[(block * block_size + position % block_size).to(draw.device)] = draw.normal(
                    context, kv_heads, dim
                )
            caches.append(encode(cache, torch.int8) if int8 else cache)
        q = draw.normal(sum(n for n, _ in rows), num_heads, dim)
        args = (q, *caches, make_plan(rows, tables, block_size, device=draw.device))
        return args, {"scale": dim**-0.5, "window": window}

    shape = ",".join(f"{n}of{c}" for n, c in rows)
    name = f"{shape}-{heads[0]}:{heads[1]}x{dim}-b{block_size}-w{window}{'-int8' * int8}"
    return Case(name, make, large)


def make_plan(
    rows: list[tuple[int, int]],
    tables: list[list[int]],
    block_size: int,
    *,
    split: bool = True,
    device: torch.device | None = None,
) -> AttentionPlan:
    """Return a plan for rows of (queries, context), single-query rows first."""
    starts = tuple(accumulate((queries for queries, _ in rows), initial=0))
    lens = tuple(context for _, context in rows)
    singles = sum(queries == 1 for queries, _ in rows)
    groups = [(i, i + 1) for i in range(singles)] if split else [(0, singles)] if singles else []
    widest = max(map(len, tables), default=0)

    def tensor(values: Any, *shape: int) -> Tensor:
        return torch.tensor(values, dtype=torch.int32, device=device).view(shape)

    return AttentionPlan(
        query_starts=tensor(starts, len(rows) + 1),
        context_lens=tensor(lens, len(rows)),
        block_tables=tensor([t + [0] * (widest - len(t)) for t in tables], len(rows), widest),
        block_size=block_size,
        host_query_starts=starts,
        host_context_lens=lens,
        single_groups=tuple(groups),
        num_single=singles,
    )


CASES: dict[str, tuple[Case, ...]] = {
    "embedding": (_embedding(0, 8), _embedding(5, 1029), _embedding(777, 4096, large=True)),
    "rms_norm": (_rms_norm(0, 8), _rms_norm(3, 72), _rms_norm(555, 5120, large=True)),
    "add_rms_norm": (
        _add_rms_norm(0, 8),
        _add_rms_norm(1, 1),
        _add_rms_norm(3, 72),
        _add_rms_norm(555, 5120, large=True),
    ),
    "silu_mul": (
        _silu_mul(0, 8),
        _silu_mul(2, 1),
        _silu_mul(2, 1029),
        _silu_mul(555, 9728, large=True),
    ),
    "rope_store": (
        _rope_store(0, (2, 1), 8),
        _rope_store(3, (4, 2), 16, normed=True),
        _rope_store(2, (17, 1), 12),
        _rope_store(2, (3, 3), 24),
        _rope_store(1, (3, 1), 2, normed=True),
        _rope_store(555, (32, 8), 128, normed=True, large=True),
    ),
    "linear": (
        _linear(0, 8, 8),
        _linear(1, 72, 33),
        _linear(3, 1100, 40, bias=True),  # the width is split
        _linear(17, 8, 8),  # too many rows for the kernel
        _linear(1, 4096, 4096, large=True),
        _linear(16, 9728, 2560, large=True),
        _linear(7, 2560, 151_936, large=True),
    ),
    "linear_silu_mul": (
        _linear_silu_mul(0, 8, 8),
        _linear_silu_mul(2, 72, 33),
        _linear_silu_mul(3, 1100, 17),  # the width is split
        _linear_silu_mul(17, 8, 9),  # too many rows for the kernel
        _linear_silu_mul(8, 4096, 12_288, large=True),
    ),
    "sample": (
        _sample("empty", 8, []),
        _sample(
            "greedy", 4100, [(0.0, 0, 1.0)] * 2, put=[((0, 4099), 99.0), ((1, slice(5, 9)), 99.0)]
        ),
        _sample("drawn", 4100, [(1.0, 0, 1.0), (0.0, 0, 1.0), (1e-30, 0, 1.0), (1e38, 0, 1.0)]),
        _sample("few tokens", 3, [(4.0, 0, 1.0)] * 60),
        _sample("top k", 99, [(9.0, 1, 1.0), (9.0, 7, 1.0), (9.0, 98, 1.0), (9.0, 100, 1.0)]),
        _sample("top p", 99, [(4.0, 0, 0.5), (4.0, 0, 1e-9), (99.0, 0, 0.9), (1e-9, 0, 0.9)]),
        _sample("both", 99, [(4.0, 5, 0.6), (4.0, 50, 0.6), (4.0, 3, 0.999), (0.0, 3, 0.1)]),
        _sample(
            "ties",
            99,
            [(1.0, 10, 1.0), (1.0, 0, 0.455), (1.0, 10, 0.455), (1.0, 20, 0.455)],
            put=[
                ((slice(None), slice(0, 80)), 0.0),
                ((slice(None), slice(1, 80, 2)), -0.0),
                ((slice(None), slice(80, 99)), -1e4),
            ],
        ),
        _sample(
            "ties in two blocks",
            4100,
            [(1.0, 1, 1.0)] * 5,
            put=[((slice(None), slice(0, 4095)), -1e4), ((slice(None), slice(4095, 4100)), 0.0)],
        ),
        _sample(
            "not finite",
            4100,
            [(0.0, 0, 1.0), (1.0, 0, 1.0), (1.0, 3, 0.5), (0.0, 0, 1.0), (1.0, 3, 0.5)],
            put=[
                ((0, 4099), torch.nan),
                ((1, 0), torch.inf),
                ((2, slice(None)), -torch.inf),
                ((3, slice(0, 4098)), -torch.inf),  # masked tokens alone are no fault
                ((4, slice(0, 4000)), -torch.inf),
            ],
        ),
        _sample("large", 151_936, [(0.7, 50, 0.9)] * 9 + [(0.0, 0, 1.0)] * 9, large=True),
    ),
    "paged_attention": (
        _paged_attention([], (2, 1), 8),
        _paged_attention([(1, 1)], (4, 4), 8, block_size=4),
        _paged_attention([(1, 2), (1, 100)], (6, 2), 24),  # the contexts are split
        _paged_attention([(1, 100)], (3, 1), 16, window=40),
        _paged_attention([(1, 3), (2, 6), (7, 7), (20, 70)], (4, 2), 16, block_size=5),
        _paged_attention([(1, 3), (1, 40), (25, 70)], (5, 1), 16, window=7),
        _paged_attention([(30, 30)], (2, 2), 40, window=1),
        _paged_attention([(1, 3), (1, 100), (9, 20)], (4, 2), 24, block_size=5, int8=True),
        _paged_attention([(1, 5000), (1, 1), (1, 33_000)], (32, 8), 128, large=True),
        _paged_attention([(1, 700), (555, 2000), (300, 300)], (28, 4), 128, large=True),
        _paged_attention([(1000, 1000)], (16, 8), 128, large=True),
        _paged_attention([(1, 700), (555, 2000)], (16, 8), 256, window=100, large=True),
    ),
}
