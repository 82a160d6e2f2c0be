"""From logits to tokens on the device, with no wait but the reading of the tokens.

A draw is a pure function of (logits, parameters, seed, position): equal seeds give equal tokens
whatever else is in the batch, after a preemption, and in any order of steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from inference.config import SamplingParams

__all__ = ["SamplingBatch", "sample"]


@dataclass(frozen=True, slots=True)
class SamplingBatch:
    """How each row of the logits is to be sampled.

    Attributes:
        params: One per row.
        seeds: One per row.
        positions: Position in its sequence of the token drawn, one per row.
    """

    params: Sequence[SamplingParams]
    seeds: Sequence[int]
    positions: Sequence[int]


def sample(logits: Tensor, batch: SamplingBatch) -> Tensor:
    """Return one token per row; -1 where the row's largest logit is not finite.

    Greedy rows take the first largest logit. The others divide by the temperature, keep the top k,
    then the top p of what is left, and draw from the softmax of the rest.

    Args:
        logits: ``[rows, vocab]``, any float dtype.
        batch: Parameters, seeds and positions, ``rows`` of each.

    Returns:
        ``[rows]``, int64, on the device of ``logits``.

    Cost:
        Reads rows·vocab elements; rows with top-k or top-p sort them.

    Source:
        The draw is the Gumbel-max trick in its exponential-race form: the argmax of
        ``logit − log(Exp(1))`` has the softmax's distribution.
    """
    largest, tokens = logits.max(dim=-1)
    drawn = [i for i, p in enumerate(batch.params) if p.temperature > 0.0]
    if drawn:
        rows = logits[drawn].float()
        params = [batch.params[i] for i in drawn]
        # From the largest down, so that a temperature near 0 cannot overflow to infinity.
        rows = rows - rows.max(dim=-1, keepdim=True).values
        rows = rows / _column([p.temperature for p in params], rows)
        if any(p.top_k or p.top_p < 1.0 for p in params):
            rows = _filter(rows, params)
        noise = [
            _exponential(batch.seeds[i], batch.positions[i], logits.shape[-1], logits.device)
            for i in drawn
        ]
        tokens[drawn] = (rows - torch.stack(noise).log()).argmax(dim=-1)
    return torch.where(largest.isfinite(), tokens, -1)


def _column(values: Sequence[float], like: Tensor) -> Tensor:
    return torch.tensor(values, dtype=like.dtype, device=like.device).unsqueeze(1)


def _filter(rows: Tensor, params: Sequence[SamplingParams]) -> Tensor:
    vocab = rows.shape[-1]
    # Stable, so that of equal logits the first stays, as in argmax.
    ordered, order = rows.sort(dim=-1, descending=True, stable=True)
    rank = torch.arange(vocab, device=rows.device)
    top_k = _column([float(p.top_k or vocab) for p in params], rows)
    ordered = ordered.masked_fill(rank >= top_k, -torch.inf)
    probs = ordered.softmax(dim=-1)
    before = probs.cumsum(dim=-1) - probs
    # rank > 0: the most likely token stays whatever rounding does to the sum.
    beyond = (before >= _column([p.top_p for p in params], rows)) & (rank > 0)
    # At 1.0 nothing is cut: float32 sums reach 1 before the last token.
    beyond &= _column([p.top_p for p in params], rows) < 1.0
    ordered = ordered.masked_fill(beyond, -torch.inf)
    return torch.empty_like(rows).scatter_(1, order, ordered)


def _exponential(seed: int, position: int, size: int, device: torch.device) -> Tensor:
    generator = torch.Generator(device=device)
    generator.manual_seed(_mix(seed, position))
    noise = torch.empty(size, device=device).exponential_(generator=generator)
    # A zero would have an infinite logarithm and win against any logit.
    return noise.clamp_min_(torch.finfo(noise.dtype).tiny)


def _mix(seed: int, position: int) -> int:
    """Spread (seed, position) over 64 bits (splitmix64): neighbours give unrelated streams."""
    z = (seed * 0x9E3779B97F4A7C15 + position * 0xD1B54A32D192ED03 + 1) & 0xFFFFFFFFFFFFFFFF
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
    return (z ^ (z >> 31)) >> 1  # manual_seed takes a signed 64-bit number
