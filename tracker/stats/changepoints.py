"""Level shifts in a history: rank CUSUM on seeded intervals, allowing for autocorrelation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import optimize
from scipy import stats as scipy_stats

__all__ = ["ALGORITHM", "detect_change_points"]

ALGORITHM = "seeded-rank-cusum-1"

Floats = NDArray[np.float64]

_MIN_SEGMENT = 4
_MIN_POINTS = 2 * _MIN_SEGMENT
# Below this many points ranks cannot reach the level that many intervals ask for.
_MIN_INTERVAL = 30
_INTERVAL_RATIO = math.sqrt(2)
_WHOLE_SHARE = 0.5  # of the alarm rate, for a segment as a whole; the rest for its intervals


def detect_change_points(values: Sequence[float], *, alarm_rate: float = 0.01) -> list[int]:
    """Return the index of the first point of each new level, ascending.

    In the segment as a whole, and in overlapping intervals of it of every length, the normalised
    sum of normal scores is compared with what a stationary, autocorrelated series of that length
    shows; the segment is split where the excess is largest, and both parts are treated alike. The
    intervals find a step that a later one takes back. Ranks make single outliers and heavy tails
    harmless.

    Args:
        values: The history, oldest first; at least 8 values to say anything.
        alarm_rate: Share of stationary series in which any change point may be reported.

    Raises:
        ValueError: A value is not finite (leave failed and skipped runs out), or `alarm_rate` is
            not in (0, 1).

    Assumptions:
        Noise stationary within a level, autocorrelation like AR(1).

    Small samples:
        Fewer than 8 values give no change point; a level must hold for 4 values.

    Source:
        Page 1954 (CUSUM); Kovacs et al. 2023, Biometrika 110 (seeded intervals); Yao & Davis 1986,
        Sankhya A 48 (null threshold), checked by simulation in the tests.
    """
    series = np.asarray(values, dtype=np.float64)
    if series.ndim != 1:
        raise ValueError(f"values must be one-dimensional, not of shape {series.shape}")
    if not np.isfinite(series).all():
        where = int(np.flatnonzero(~np.isfinite(series))[0])
        raise ValueError(f"value {where} is {series[where]}; leave missing results out")
    if not 0 < alarm_rate < 1:
        raise ValueError(f"alarm_rate must lie in (0, 1), not {alarm_rate}")
    found: list[int] = []
    pending = [(0, len(series))]
    while pending:
        start, stop = pending.pop()
        split = _best_split(series[start:stop], alarm_rate)
        if split is not None:
            found.append(start + split)
            pending += [(start, start + split), (start + split, stop)]
    return sorted(found)


def _best_split(segment: Floats, alarm_rate: float) -> int | None:
    n = len(segment)
    intervals = _seeded_intervals(n)
    share = alarm_rate * (1 - _WHOLE_SHARE) / max(len(intervals), 1)
    best, split = _strongest(segment, alarm_rate * _WHOLE_SHARE)
    for start, stop in intervals:
        strength, inside = _strongest(segment[start:stop], share)
        if strength > best:
            best, split = strength, start + inside
    return split if best > 1 else None


@lru_cache(maxsize=1024)
def _seeded_intervals(n: int) -> tuple[tuple[int, int], ...]:
    """Return intervals of ``range(n)`` of falling length, each half overlapping the next."""
    found = []
    length = n / _INTERVAL_RATIO
    while length >= _MIN_INTERVAL:
        size = round(length)
        count = max(2, math.ceil(2 * n / length) - 1)
        starts = np.unique(np.linspace(0, n - size, count).round().astype(int))
        found += [(int(start), int(start) + size) for start in starts]
        length /= _INTERVAL_RATIO
    return tuple(found)


def _strongest(segment: Floats, alarm_rate: float) -> tuple[float, int]:
    """Return the largest normalised sum over its threshold, and the split where it stands."""
    n = len(segment)
    if n < _MIN_POINTS:
        return 0.0, 0
    ranks = scipy_stats.rankdata(segment)
    scores = scipy_stats.norm.ppf((ranks - 0.375) / (n + 0.25))
    scores -= scores.mean()
    spread = scores.std()
    if spread == 0:
        return 0.0, 0
    scores /= spread
    left = np.arange(1, n)
    cusum = np.abs(np.cumsum(scores)[:-1]) / np.sqrt(left * (n - left) / n)
    split = int(np.argmax(cusum[_MIN_SEGMENT - 1 : n - _MIN_SEGMENT])) + _MIN_SEGMENT
    inflation = math.sqrt(_long_run_variance(scores, split))
    return float(cusum[split - 1]) / (inflation * _threshold(n, alarm_rate)), split


def _long_run_variance(scores: Floats, split: int) -> float:
    """Return the variance inflation of a mean by AR(1) noise, the split taken out; at least 1."""
    residuals = scores.copy()
    residuals[:split] -= scores[:split].mean()
    residuals[split:] -= scores[split:].mean()
    energy = float(residuals @ residuals)
    if energy <= 1e-12 * float(scores @ scores):  # a noiseless step, but for rounding
        return 1.0
    n = len(scores)
    rho = float(residuals[1:] @ residuals[:-1]) / energy
    # Removing two fitted means biases the estimate down by about (2 + 4 rho) / n.
    rho += (2 + 4 * max(rho, 0.0)) / n
    rho = min(max(rho, 0.0), 0.9)
    return (1 + rho) / (1 - rho)


@lru_cache(maxsize=4096)
def _threshold(n: int, alarm_rate: float) -> float:
    """Return the level that the largest normalised sum of `n` values exceeds with `alarm_rate`.

    Yao & Davis 1986, eq. 2.5, over splits that leave `_MIN_SEGMENT` values on either side.
    """
    edge = _MIN_SEGMENT / n
    span = 2 * math.log((1 - edge) / edge)

    def excess(x: float) -> float:
        tail = x * scipy_stats.norm.pdf(x) * ((1 - x**-2) * span + 4 * x**-2)
        return float(tail) - alarm_rate

    return float(optimize.brentq(excess, 1.5, 12.0)) if excess(1.5) > 0 else 1.5
