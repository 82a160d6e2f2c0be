"""Centre, interval and spread of paired differences that a few outliers hardly move.

Hodges & Lehmann 1963: the median of the means of all pairs of values (the Walsh averages) and, as an
interval, their order statistics at the quantiles of Wilcoxon's signed-rank statistic. Exact for
noise that is symmetric, as that of interleaved pairs is.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["center", "interval", "spread"]

Floats = NDArray[np.float64]

_NORMAL = 1.4826  # median absolute deviation to standard deviation


def center(values: Floats) -> float:
    """Return the Hodges-Lehmann estimate of at least one value, ``[n]``."""
    return float(np.median(_walsh_averages(values)))


def interval(values: Floats, miss: float) -> tuple[float, float] | None:
    """Return the bounds that the centre is beyond with probability at most `miss` on each side.

    None where so few values, ``[n]``, cannot tell: below ``1 - log2(miss)``.
    """
    tails = _lower_tails(len(values))
    if tails[0] > miss:
        return None
    cut = int(np.searchsorted(tails, miss, side="right")) - 1
    averages = np.sort(_walsh_averages(values))
    return float(averages[cut]), float(averages[-1 - cut])


def spread(values: Floats) -> float:
    """Return the deviation of normal noise with this median absolute deviation, of at least one value.

    The standard deviation where more than half of the values are equal, as those of a coarse timer
    are: their median absolute deviation is 0, and says nothing about the others.
    """
    typical = float(np.median(np.abs(values - np.median(values))))
    return _NORMAL * typical if typical > 0 else float(np.std(values))


def _walsh_averages(values: Floats) -> Floats:
    first, second = np.triu_indices(len(values))
    averages: Floats = (values[first] + values[second]) / 2
    return averages


@lru_cache(maxsize=64)
def _lower_tails(n: int) -> Floats:
    """Return P(W <= w) of the signed-rank statistic of n values, for w from 0."""
    chance = np.ones(1)
    for rank in range(1, n + 1):
        wider = np.zeros(len(chance) + rank)
        wider[: len(chance)] += chance / 2
        wider[rank:] += chance / 2
        chance = wider
    tails: Floats = np.cumsum(chance)
    return tails
