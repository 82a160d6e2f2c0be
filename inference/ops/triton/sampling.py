"""Greedy and drawn tokens in one launch: a program a row, nothing sorted, no noise in memory.

Where the reference sorts, the kernel searches the value that the filter cuts at, bit by bit of the
logits' own dtype: floats order as their bits do, so 16 passes over a row in cache find a bfloat16
exactly. Rows that are not filtered are read once.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from inference.ops.sampling import KEY_1, KEY_2, MIX_1, MIX_2
from inference.ops.triton.layout import require_contiguous

__all__ = ["sample"]

_BLOCK = 4096  # 16 elements a thread of 8 warps
# Of a float32, from the sign down, those that can be set where the number was this dtype before.
_BITS = {torch.bfloat16: 16, torch.float16: 19, torch.float32: 32}
_MIX_1, _MIX_2 = tl.constexpr(MIX_1), tl.constexpr(MIX_2)
_KEY_1, _KEY_2 = tl.constexpr(KEY_1), tl.constexpr(KEY_2)


def sample(
    logits: Tensor,
    temperature: Tensor,
    top_k: Tensor,
    top_p: Tensor,
    seeds: Tensor,
    positions: Tensor,
) -> Tensor:
    """As ``inference.ops.sampling.sample``."""
    require_contiguous(
        "sample",
        logits=logits,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        seeds=seeds,
        positions=positions,
    )
    rows, vocab = logits.shape
    tokens = torch.empty(rows, dtype=torch.int64, device=logits.device)
    if rows:
        _sample[(rows,)](
            logits,
            temperature,
            top_k,
            top_p,
            seeds,
            positions,
            tokens,
            vocab,
            BITS=_BITS[logits.dtype],
            BLOCK=min(_BLOCK, triton.next_power_of_2(vocab)),
            num_warps=8,
        )
    return tokens


@triton.jit
def _sample(
    logits_ptr,  # [rows, vocab]
    temperature_ptr,  # [rows], and so the next four
    top_k_ptr,
    top_p_ptr,
    seeds_ptr,
    positions_ptr,
    tokens_ptr,  # [rows]
    vocab,
    BITS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64)
    row_ptr = logits_ptr + row * vocab
    temperature = tl.minimum(tl.load(temperature_ptr + row), 1e30)
    top_k = tl.load(top_k_ptr + row)
    top_p = tl.load(top_p_ptr + row)
    key_1 = _row_key(tl.load(seeds_ptr + row), tl.load(positions_ptr + row), _KEY_1)
    key_2 = _row_key(tl.load(seeds_ptr + row), tl.load(positions_ptr + row), _KEY_2)

    cut = tl.full([], 0, tl.uint32)  # kept: keys above, and of those equal to it the first `ties`
    ties = vocab
    if (temperature > 0.0) & ((top_k > 0) | (top_p < 1.0)):
        largest = _largest(row_ptr, vocab, BLOCK)
        if (largest > float("-inf")) & (largest < float("inf")):
            cut, ties = _filter(row_ptr, vocab, largest, temperature, top_k, top_p, BITS, BLOCK)

    best = float("-inf")
    token = tl.full([], -1, tl.int32)
    not_finite = 0
    ties_before = 0
    for start in range(0, vocab, BLOCK):
        index = start + tl.arange(0, BLOCK)
        x = tl.load(row_ptr + index, mask=index < vocab, other=float("-inf")).to(tl.float32)
        not_finite += tl.sum(((x != x) | (x == float("inf"))).to(tl.int32), axis=0)
        score = x
        if temperature > 0.0:
            key = _key(x, BITS)
            tied = (key == cut).to(tl.int32)
            tie_rank = ties_before + tl.cumsum(tied, axis=0)
            kept = (key > cut) | ((tied > 0) & (tie_rank <= ties))
            ties_before += tl.sum(tied, axis=0)
            noise = _exponential(_mix(_mix(index.to(tl.uint32) ^ key_1) + key_2))
            score = tl.where(kept, x - temperature * tl.log(noise), float("-inf"))
        block_best, block_token = tl.max(score, axis=0, return_indices=True)
        if block_best > best:
            best = block_best
            token = start + block_token
    if not_finite > 0:
        token = tl.full([], -1, tl.int32)
    tl.store(tokens_ptr + row, token.to(tl.int64))


@triton.jit
def _filter(
    row_ptr,
    vocab,
    largest,
    temperature,
    top_k,
    top_p,
    BITS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Return the least key that top k, then top p keep, and how many of that very key."""
    cut = tl.full([], 0, tl.uint32)
    ties = vocab
    if (top_k > 0) & (top_k < vocab):
        cut = _search(row_ptr, vocab, 0.0, 1.0, top_k.to(tl.float32), False, BITS, BLOCK)
        above = _mass(row_ptr, vocab, cut + 1, 0.0, 1.0, False, BITS, BLOCK)
        ties = top_k - above.to(tl.int32)
    if top_p < 1.0:
        above = _mass(row_ptr, vocab, cut + 1, largest, temperature, True, BITS, BLOCK)
        all_mass = above
        if ties < vocab:
            all_mass += ties * tl.exp((_value(cut, BITS) - largest) / temperature)
        else:
            all_mass = _mass(row_ptr, vocab, cut, largest, temperature, True, BITS, BLOCK)
        wanted = top_p * all_mass
        nucleus = _search(row_ptr, vocab, largest, temperature, wanted, True, BITS, BLOCK)
        if nucleus > cut:
            cut = nucleus
            ties = vocab
            above = _mass(row_ptr, vocab, cut + 1, largest, temperature, True, BITS, BLOCK)
        each = tl.exp((_value(cut, BITS) - largest) / temperature)
        # As many of one probability as begin before the sum has reached what is wanted.
        needed = tl.minimum(tl.ceil((wanted - above) / each), vocab * 1.0)
        ties = tl.minimum(ties, tl.maximum(needed.to(tl.int32), 1))
    return cut, ties


@triton.jit
def _search(
    row_ptr,
    vocab,
    largest,
    temperature,
    wanted,
    WEIGHTED: tl.constexpr,
    BITS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Return the greatest key such that it and those above have a mass of ``wanted`` or more."""
    cut = tl.full([], 0, tl.uint32)
    for i in range(BITS):
        with_bit = cut | (tl.full([], 1, tl.uint32) << (BITS - 1 - i))
        mass = _mass(row_ptr, vocab, with_bit, largest, temperature, WEIGHTED, BITS, BLOCK)
        if mass >= wanted:
            cut = with_bit
    return cut


@triton.jit
def _mass(
    row_ptr,
    vocab,
    cut,
    largest,
    temperature,
    WEIGHTED: tl.constexpr,
    BITS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Return how many logits have a key of ``cut`` or more, or the sum of their weights."""
    mass = tl.zeros([BLOCK], tl.float32)
    for start in range(0, vocab, BLOCK):
        index = start + tl.arange(0, BLOCK)
        x = tl.load(row_ptr + index, mask=index < vocab, other=float("-inf")).to(tl.float32)
        weight = tl.full([BLOCK], 1.0, tl.float32)
        if WEIGHTED:  # from the largest down, so that a temperature near 0 cannot overflow
            weight = tl.exp((x - largest) / temperature)
        mass += tl.where((_key(x, BITS) >= cut) & (index < vocab), weight, 0.0)
    return tl.sum(mass, axis=0)


@triton.jit
def _largest(row_ptr, vocab, BLOCK: tl.constexpr):
    largest = float("-inf")
    for start in range(0, vocab, BLOCK):
        index = start + tl.arange(0, BLOCK)
        x = tl.load(row_ptr + index, mask=index < vocab, other=float("-inf")).to(tl.float32)
        largest = tl.maximum(largest, tl.max(x, axis=0))
    return largest


@triton.jit
def _key(x, BITS: tl.constexpr):
    """Return whole numbers in the order of the float32 ``x``, equal where those are equal."""
    bits = tl.where(x == 0.0, 0.0, x).to(tl.uint32, bitcast=True)  # -0.0 is 0.0
    ordered = tl.where(bits >> 31 == 1, ~bits, bits | 0x80000000)
    return ordered >> (32 - BITS)


@triton.jit
def _value(key, BITS: tl.constexpr):
    """Return the float32 of a key."""
    ordered = key << (32 - BITS)
    unused = (tl.full([], 1, tl.uint32) << (32 - BITS)) - 1
    bits = tl.where(ordered >> 31 == 1, ordered & 0x7FFFFFFF, ~(ordered | unused))
    return bits.to(tl.float32, bitcast=True)


@triton.jit
def _row_key(seed, position, START: tl.constexpr):
    key = tl.full([], START, tl.uint32)
    key = _mix(key ^ seed.to(tl.uint32)) + START
    key = _mix(key ^ (seed >> 32).to(tl.uint32)) + START
    key = _mix(key ^ position.to(tl.uint32)) + START
    return _mix(key ^ (position >> 32).to(tl.uint32)) + START


@triton.jit
def _mix(word):
    word = (word ^ (word >> 16)) * _MIX_1
    word = (word ^ (word >> 13)) * _MIX_2
    return word ^ (word >> 16)


@triton.jit
def _exponential(bits):
    """Return Exp(1) noise out of uniform 32-bit words."""
    uniform = tl.minimum((bits.to(tl.float32) + 0.5) * 2.0**-32, 1.0 - 2.0**-24)
    # log1p: near 0, 1 - u has lost most bits of u, and its series is short.
    near = 1.0 + uniform * (1 / 2 + uniform * (1 / 3 + uniform * (1 / 4 + uniform / 5)))
    return tl.where(uniform < 1 / 64, uniform * near, -tl.log(1.0 - uniform))
