"""Tail quantiles of requests pooled over launches, base against head."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["TailComparison", "compare_tails"]

Floats = NDArray[np.float64]

MIN_PAIRS = 8  # fewer blocks resample to too few different samples
MIN_BEYOND = 10  # requests of an arm beyond the quantile; with fewer, single requests decide
_RESAMPLES = 1000
_CHUNK = 50  # resamples at a time, so that a million requests fit in memory
_LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class TailComparison:
    """A tail quantile of all requests of base and of head, for information: it has no vote.

    Attributes:
        quantile: In (0, 1); 0.99 is p99.
        base: Quantile of base's pooled requests, in their unit; None where there is none.
        head: Likewise.
        effect: head/base - 1; None where base is None or 0.
        low: Lower end of the 95 % interval of `effect`; None where `reason` says why.
        high: Upper end.
        pairs: Pairs of launches.
        requests: Requests of the arm that has fewer.
        reason: Why there is no interval, and how much would do; empty where there is one.
    """

    quantile: float
    base: float | None
    head: float | None
    effect: float | None
    low: float | None
    high: float | None
    pairs: int
    requests: int
    reason: str


def compare_tails(
    base: Sequence[Sequence[float]],
    head: Sequence[Sequence[float]],
    *,
    quantile: float = 0.99,
    seed: int = 0,
) -> TailComparison:
    """Compare a tail quantile of pooled requests, with an interval from resampled launches.

    Requests of one launch are not independent, so pairs of launches are resampled, never requests:
    pairs are drawn with replacement, the requests of each arm are pooled, and both quantiles taken.

    Args:
        base: By pair, the values of the base launch's requests (a TTFT each, or all its ITLs).
        head: Likewise; element k was measured beside ``base[k]``.
        quantile: In (0, 1).
        seed: Of the resampling.

    Returns:
        The quantiles; the interval only from 8 pairs on, with 10 requests beyond the quantile in
        each arm (1,000 requests for p99).

    Raises:
        ValueError: Arms of different length, a quantile outside (0, 1), or a value that is not
            finite or negative; the message names it.

    Assumptions:
        Pairs independent of each other; the base's quantile away from 0.

    Small samples:
        Below 8 pairs, or with fewer than 10 requests beyond the quantile, quantiles without an
        interval, and the reason. With few pairs the interval covers less than its 95 %.

    Source:
        Efron & Tibshirani 1993, chapters 8.5 and 13 (percentile interval of resampled blocks). The
        quantile is ``numpy.quantile(..., method="inverted_cdf")``: an observed value.
    """
    if len(base) != len(head):
        raise ValueError(f"{len(base)} launches of base, but {len(head)} of head")
    if not 0 < quantile < 1:
        raise ValueError(f"quantile must lie in (0, 1), not {quantile}")
    arms = [_Pool("base", base), _Pool("head", head)]
    requests = min(len(arm.values) for arm in arms)
    pairs = len(base)
    if requests == 0:
        reason = "an arm has no requests"
        return TailComparison(quantile, None, None, None, None, None, pairs, 0, reason)
    once = np.ones((1, pairs))
    before, after = (float(arm.quantiles(once, quantile)[0]) for arm in arms)
    effect = after / before - 1 if before > 0 else None
    reason = _obstacle(quantile, pairs, requests, effect)
    low = high = None
    if not reason:
        low, high = _interval(arms, pairs, quantile, seed)
    return TailComparison(quantile, before, after, effect, low, high, pairs, requests, reason)


class _Pool:
    """The requests of an arm in ascending order, and the launch that each belongs to."""

    def __init__(self, arm: str, launches: Sequence[Sequence[float]]) -> None:
        lengths = [len(launch) for launch in launches]
        values = np.array([value for launch in launches for value in launch], dtype=np.float64)
        owners = np.repeat(np.arange(len(launches)), lengths)
        bad = np.flatnonzero(~(np.isfinite(values) & (values >= 0)))
        if len(bad):
            pair = int(owners[bad[0]])
            raise ValueError(
                f"{arm} launch {pair}: value {values[bad[0]]} is not a finite number >= 0"
            )
        order = np.argsort(values, kind="stable")
        self.values = values[order]
        self._owners = owners[order]

    def quantiles(self, counts: Floats, quantile: float) -> Floats:
        """Return the quantile with each launch taken ``counts[resample, launch]`` times."""
        seen = np.cumsum(counts[:, self._owners], axis=1)
        # Slightly less, so that 0.99 of 1,000 requests is the 990th in spite of rounding.
        rank = quantile * seen[:, -1:] * (1 - 1e-12)
        # A resample without any request of this arm has no quantile.
        of_rank = self.values[np.argmax(seen >= rank, axis=1)]
        return np.where(seen[:, -1] > 0, of_rank, math.nan)


def _obstacle(quantile: float, pairs: int, requests: int, effect: float | None) -> str:
    enough = math.ceil(MIN_BEYOND / (1 - quantile) * (1 - 1e-12))
    if pairs < MIN_PAIRS:
        noun = "pair" if pairs == 1 else "pairs"
        return f"{pairs} {noun} of launches; {MIN_PAIRS} would do"
    if requests < enough:
        return f"{requests} requests an arm; p{100 * quantile:g} needs {enough}"
    if effect is None:
        return "a base quantile of 0 has no ratio"
    return ""


def _interval(arms: Sequence[_Pool], pairs: int, quantile: float, seed: int) -> tuple[float, float]:
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(pairs, np.full(pairs, 1 / pairs), size=_RESAMPLES).astype(np.float64)
    ratios = []
    for start in range(0, _RESAMPLES, _CHUNK):
        base, head = (arm.quantiles(drawn[start : start + _CHUNK], quantile) for arm in arms)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios.append(head / base)
    tail = 100 * (1 - _LEVEL) / 2
    low, high = np.nanpercentile(np.concatenate(ratios), [tail, 100 - tail]) - 1
    return float(low), float(high)
