"""Level shifts in a history: rank CUSUM, segment by segment, allowing for autocorrelation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import optimize
from scipy import stats as scipy_stats

__all__ = ["ALGORITHM", "detect_change_points"]

ALGORITHM = "rank-cusum-1"

Floats = NDArray[np.float64]

_MIN_SEGMENT = 4
_MIN_POINTS = 2 * _MIN_SEGMENT


def detect_change_points(values: Sequence[float], *, alarm_rate: float = 0.01) -> list[int]:
    """Return the index of the first point of each new level, ascending.

    A segment is split where the normalised sum of its normal scores is largest, if that exceeds
    what a stationary, autocorrelated series of its length shows in a share of `alarm_rate`; both
    halves are then treated alike. Ranks make single outliers and heavy tails harmless.

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
        Page 1954 (CUSUM); Yao & Davis 1986, Sankhya A 48 (null threshold), checked by simulation
        in the tests.
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
    if n < _MIN_POINTS:
        return None
    ranks = scipy_stats.rankdata(segment)
    scores = scipy_stats.norm.ppf((ranks - 0.375) / (n + 0.25))
    scores -= scores.mean()
    spread = scores.std()
    if spread == 0:
        return None
    scores /= spread
    left = np.arange(1, n)
    cusum = np.abs(np.cumsum(scores)[:-1]) / np.sqrt(left * (n - left) / n)
    allowed = slice(_MIN_SEGMENT - 1, n - _MIN_SEGMENT)
    split = int(np.argmax(cusum[allowed])) + _MIN_SEGMENT
    inflation = math.sqrt(_long_run_variance(scores, split))
    if cusum[split - 1] <= inflation * _threshold(n, alarm_rate):
        return None
    return split


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
