"""Whether the newest level of a history drifts: many small changes one way, none of them a step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tracker.stats.changepoints import detect_change_points
from tracker.stats.noise import inflation
from tracker.stats.relevance import relevance
from tracker.stats.sustained import clip_outliers

__all__ = ["DRIFT_ALGORITHM", "Drift", "find_drift"]

DRIFT_ALGORITHM = "trend-of-level-1"

_MIN_POINTS = 50
# Standard errors of the slope: at most 1 % of stationary series reach it (docs/statistics.md).
_THRESHOLD = 5.0
_LEAST_CHANGE = 0.02  # of the level; nodes age by less


class Drift(NamedTuple):
    """A trend from the point at index `start` to the newest; levels in the unit of the values."""

    start: int
    before: float
    after: float


def find_drift(values: Sequence[float], shifts: Sequence[int] | None = None) -> Drift | None:
    """Return the drift of the newest level, or None.

    The slope of the least-squares line through the level, outliers clipped, must exceed five of
    its standard errors after the residuals' memory (AR(1), or the wander of their partial sums if
    that is more), and the line must change by 2 % and by more than the noise.

    Args:
        values: ``[n]``, finite, oldest first.
        shifts: Level shifts of `values`, ascending, where they are known already.

    Assumptions:
        Residuals about the line stationary, with short memory.

    Small samples:
        A level of fewer than 50 points has no drift.

    Source:
        Least squares with the variance of autocorrelated noise; Shao & Zhang 2010 for the wander.
    """
    known = detect_change_points(values) if shifts is None else shifts
    start = max(known, default=0)
    level = np.asarray(values[start:], dtype=np.float64)
    n = len(level)
    if n < _MIN_POINTS or level.min() == level.max():
        return None
    tame, _ = clip_outliers(level)
    time = np.arange(n) - (n - 1) / 2
    middle = float(tame.mean())
    slope = float(time @ tame) / float(time @ time)
    residuals = tame - middle - slope * time
    energy = float(residuals @ residuals)
    change = slope * (n - 1)
    if energy > 1e-18 * n * change * change:
        partial = np.cumsum(residuals)
        # The mean square of the partial sums of n unit residuals about a line is n / 15.
        wander = 15 * float(partial @ partial) / (n * energy)
        memory = max(float(inflation(residuals, num_means=2)), wander)
        error = math.sqrt(energy / (n - 2) / float(time @ time) * memory)
        if abs(slope) <= _THRESHOLD * error:
            return None
    before, after = middle - change / 2, middle + change / 2
    if abs(change) < _LEAST_CHANGE * abs(before):
        return None
    third = n // 3
    return Drift(start, before, after) if relevance(level[:third], level[-third:]) >= 1 else None
