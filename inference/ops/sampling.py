"""Samples tokens from logits: greedy or random, with separate parameters for each row."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from inference.ops.registry import Op

__all__ = ["SAMPLE", "sample"]

# Multipliers of MurmurHash3's finalizer, which turns neighbours into unrelated numbers.
MIX_1, MIX_2 = 0x85EBCA6B, 0xC2B2AE35
# Where the two halves of a row's key begin: any two numbers that differ.
KEY_1, KEY_2 = 0x9E3779B9, 0x7F4A7C15
_WORD = 0xFFFFFFFF


def sample(
    logits: Tensor,
    temperature: Tensor,
    top_k: Tensor,
    top_p: Tensor,
    seeds: Tensor,
    positions: Tensor,
) -> Tensor:
    """Return one token per row; -1 where the row's largest logit is not finite.

    A row of temperature 0 takes its first largest logit. Another keeps its top k, then of those the
    fewest that reach probability top_p, and draws from the softmax of the rest over temperature. Of
    equal logits the earlier ranks higher. The draw is a pure function of (logits, parameters, seed,
    position): equal seeds give equal tokens whatever other rows there are.

    Args:
        logits: ``[rows, vocab]``, any float dtype.
        temperature: ``[rows]``, float32, >= 0; one above 1e30 is 1e30, lest the noise overflow.
        top_k: ``[rows]``, int32; 0 keeps all.
        top_p: ``[rows]``, float32, in (0, 1]; 1 keeps all.
        seeds: ``[rows]``, int64.
        positions: Of the token drawn in its sequence, ``[rows]``, int64.

    Returns:
        ``[rows]``, int64.

    Cost:
        Reads rows·vocab elements; memory-bound. A filtered row is read again for each bit of its
        dtype (kernel), or sorted (reference). The reference waits for the device to learn which
        rows draw; the kernel does not.

    Source:
        The draw is the exponential race, or Gumbel-max trick: the argmax of ``logit − T·log(E)``,
        ``E ~ Exp(1)``, has the distribution of ``softmax(logit / T)``. Top p is nucleus sampling,
        Holtzman et al. 2020, arXiv:1904.09751.
    """
    tokens = _most_likely(logits)
    if any(temperature.tolist()):
        drawn = temperature.nonzero().squeeze(1)
        rows, heat = logits[drawn].float(), temperature[drawn, None].clamp_max(1e30)
        rows = _keep_likely(rows, heat, top_k[drawn, None], top_p[drawn, None])
        noise = _exponential(seeds[drawn], positions[drawn], logits.shape[-1])
        raced = (rows - heat * noise.log()).argmax(dim=-1)
        tokens[drawn] = torch.where(tokens[drawn] < 0, -1, raced)
    return tokens


def _most_likely(logits: Tensor) -> Tensor:
    """Return the first largest of each row; -1 where it is not finite."""
    if logits.device.type == "cpu":
        # NumPy finds it some 16 times as fast as torch does on a CPU, and NaN before all else too.
        rows = logits.float().numpy()
        best = rows.argmax(axis=1)
        largest = rows.take(best + np.arange(0, rows.size, rows.shape[1]))
        best[~np.isfinite(largest)] = -1
        return torch.from_numpy(best)
    largest, tokens = logits.max(dim=-1)
    return torch.where(largest.isfinite(), tokens, -1)


def _keep_likely(rows: Tensor, heat: Tensor, top_k: Tensor, top_p: Tensor) -> Tensor:
    """Return ``rows`` with -inf for what the filters cut off."""
    filtered = ((top_k > 0) | (top_p < 1.0)).squeeze(1)
    if not filtered.any():
        return rows
    vocab = rows.shape[-1]
    ordered, order = rows.sort(dim=-1, descending=True, stable=True)
    rank = torch.arange(vocab, device=rows.device)
    ordered = ordered.masked_fill((top_k > 0) & (rank >= top_k), -torch.inf)
    # From the largest down, so that a temperature near 0 cannot overflow.
    probs = ((ordered - ordered[:, :1]) / heat).softmax(dim=-1)
    before = probs.cumsum(dim=-1) - probs
    # rank > 0: the most likely token stays whatever rounding does to the sum. At 1.0 nothing is
    # cut: float32 sums reach 1 before the last token.
    ordered = ordered.masked_fill((before >= top_p) & (rank > 0) & (top_p < 1.0), -torch.inf)
    return torch.empty_like(rows).scatter_(1, order, ordered)


def _exponential(seeds: Tensor, positions: Tensor, size: int) -> Tensor:
    """Return Exp(1) noise ``[rows, size]`` out of a hash of (seed, position, index)."""
    words = (seeds & _WORD, (seeds >> 32) & _WORD, positions & _WORD, (positions >> 32) & _WORD)
    keys = []
    for start in (KEY_1, KEY_2):
        key = torch.full_like(seeds, start)
        for word in words:
            key = (_mix(key ^ word) + start) & _WORD
        keys.append(key[:, None])
    index = torch.arange(size, device=seeds.device)
    bits = _mix((_mix(index ^ keys[0]) + keys[1]) & _WORD)
    # In (0, 1), and precise near 0, where the small and so the winning waiting times are.
    uniform = (bits.float() + 0.5) * 2.0**-32
    return -torch.log1p(-uniform.clamp_max(1 - 2.0**-24))


def _mix(word: Tensor) -> Tensor:
    """Return MurmurHash3's finalizer of 32-bit words held in int64."""
    word = ((word ^ (word >> 16)) * MIX_1) & _WORD
    word = ((word ^ (word >> 13)) * MIX_2) & _WORD
    return word ^ (word >> 16)


SAMPLE = Op("sample", sample, "inference.ops.triton.sampling:sample", numpy=False)
