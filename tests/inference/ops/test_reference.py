"""Every reference against a slow, obvious twin in float64; caches poisoned with NaN where unused."""

from __future__ import annotations

import pytest
import torch

from inference.architecture import RopeConfig
from inference.ops.activation import silu_mul
from inference.ops.attention import paged_attention
from inference.ops.norm import add_rms_norm, rms_norm
from inference.ops.rope import inverse_frequencies, rope_store
from tests.inference.ops.cases import make_plan


def randn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_rms_norm(dtype: torch.dtype) -> None:
    x, weight = (8 * randn(5, 24)).to(dtype), randn(24).to(dtype)
    wide = x.double()
    expected = wide / (wide.square().mean(-1, keepdim=True) + 1e-5).sqrt() * weight.double()
    tolerance = (
        {"rtol": 1e-5, "atol": 1e-6} if dtype is torch.float32 else {"rtol": 0.02, "atol": 0.02}
    )
    got = rms_norm(x, weight, eps=1e-5)
    assert got.dtype is dtype
    torch.testing.assert_close(got.double(), expected, **tolerance)


def test_rms_norm_does_not_overflow_in_half_precision() -> None:
    x = torch.full((1, 8), 3000.0, dtype=torch.float16)  # its square is beyond float16
    assert torch.equal(
        rms_norm(x, torch.ones(8, dtype=torch.float16), eps=1e-6), torch.ones_like(x)
    )


def test_add_rms_norm_returns_the_sum_and_changes_neither_input() -> None:
    x, residual, weight = randn(3, 8), randn(4, 8)[:3], randn(8)
    copies = x.clone(), residual.clone()
    normed, total = add_rms_norm(x, residual, weight, eps=1e-6)
    torch.testing.assert_close(total, x + residual)
    torch.testing.assert_close(normed, rms_norm(x + residual, weight, eps=1e-6))
    assert torch.equal(x, copies[0])
    assert torch.equal(residual, copies[1])


def test_silu_mul() -> None:
    packed = randn(4, 10)
    gate, up = packed[:, :5].double(), packed[:, 5:].double()
    torch.testing.assert_close(silu_mul(packed).double(), gate / (1 + (-gate).exp()) * up)


@pytest.mark.parametrize("normed", [False, True])
def test_rope_store_turns_pairs_and_fills_only_its_slots(normed: bool) -> None:
    heads, kv_heads, dim, tokens = 4, 2, 6, 3
    qkv = randn(tokens, (heads + 2 * kv_heads) * dim)
    positions = torch.tensor([0, 5, 100])
    angles = torch.outer(positions.double(), inverse_frequencies(RopeConfig(), dim, 64).double())
    slots = torch.tensor([7, 2, 9])
    k_cache = torch.full((4, 3, kv_heads, dim), torch.nan)
    v_cache = k_cache.clone()
    weights = (randn(dim), randn(dim + 1)[:dim]) if normed else (None, None)
    q = rope_store(
        qkv, angles.cos().float(), angles.sin().float(), slots, k_cache, v_cache, *weights, eps=1e-6
    )

    def turned(x: torch.Tensor, weight: torch.Tensor | None) -> torch.Tensor:
        if weight is not None:
            x = rms_norm(x, weight, eps=1e-6)
        pairs = torch.complex(x[..., : dim // 2].double(), x[..., dim // 2 :].double())
        pairs = pairs * torch.polar(torch.ones_like(angles), angles)[:, None]
        return torch.cat((pairs.real, pairs.imag), dim=-1)

    packed = qkv.view(tokens, -1, dim)
    torch.testing.assert_close(
        q.double(), turned(packed[:, :heads], weights[0]), rtol=1e-4, atol=1e-5
    )
    stored_k, stored_v = k_cache.view(-1, kv_heads, dim), v_cache.view(-1, kv_heads, dim)
    wanted = turned(packed[:, heads : heads + kv_heads], weights[1])
    torch.testing.assert_close(stored_k[slots].double(), wanted, rtol=1e-4, atol=1e-5)
    assert torch.equal(stored_v[slots], packed[:, heads + kv_heads :])
    untouched = [s for s in range(12) if s not in slots.tolist()]
    assert stored_k[untouched].isnan().all()
    assert stored_v[untouched].isnan().all()


def test_llama3_frequencies_keep_the_short_and_stretch_the_long() -> None:
    plain = inverse_frequencies(RopeConfig(theta=5e5), 128, 64)
    scaled = inverse_frequencies(RopeConfig(theta=5e5, kind="llama3", factor=8.0), 128, 64)
    wavelength = 2 * torch.pi / plain
    short, long = wavelength < 8192 / 4, wavelength > 8192
    torch.testing.assert_close(scaled[short], plain[short])
    torch.testing.assert_close(scaled[long], plain[long] / 8)
    between = ~short & ~long
    assert between.any()
    assert (scaled[between] < plain[between]).all()
    assert (scaled[between] > plain[between] / 8).all()


@pytest.mark.parametrize("window", [None, 1, 3, 100])
@pytest.mark.parametrize("heads", [(4, 4), (6, 2), (3, 1)], ids=str)
@pytest.mark.parametrize("split", [True, False])
@pytest.mark.parametrize(
    "rows",
    [[(1, 1)], [(1, 2), (1, 7), (1, 11)], [(5, 5)], [(4, 9)], [(1, 3), (1, 10), (2, 6), (7, 7)]],
    ids=str,
)
def test_paged_attention(
    rows: list[tuple[int, int]], split: bool, heads: tuple[int, int], window: int | None
) -> None:
    block_size, dim = 4, 8
    num_heads, kv_heads = heads
    num_blocks = 16
    order = torch.randperm(num_blocks, generator=torch.Generator().manual_seed(0)).tolist()
    tables = [[order.pop() for _ in range(-(-context // block_size))] for _, context in rows]
    k_cache = torch.full((num_blocks, block_size, kv_heads, dim), torch.nan)
    v_cache = k_cache.clone()
    keys, values = [], []
    for (_, context), table in zip(rows, tables, strict=True):
        keys.append(randn(context, kv_heads, dim))
        values.append(randn(context + 1, kv_heads, dim)[:context])
        for position in range(context):
            at = table[position // block_size], position % block_size
            k_cache[at], v_cache[at] = keys[-1][position], values[-1][position]
    q = randn(sum(queries for queries, _ in rows), num_heads, dim)
    plan = make_plan(rows, tables, block_size, split=split)
    got = paged_attention(q, k_cache, v_cache, plan, scale=0.3, window=window)

    expected = torch.full(q.shape, torch.nan, dtype=torch.float64)
    token = 0
    for (queries, context), k, v in zip(rows, keys, values, strict=True):
        for position in range(context - queries, context):
            first = 0 if window is None else max(0, position - window + 1)
            for head in range(num_heads):
                group = head * kv_heads // num_heads
                seen = slice(first, position + 1)
                scores = k[seen, group].double() @ q[token, head].double() * 0.3
                expected[token, head] = scores.softmax(0) @ v[seen, group].double()
            token += 1
    torch.testing.assert_close(got.double(), expected, rtol=1e-4, atol=1e-5)
