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

_CORE = 0.4
_NORMAL_CORE = 0.5244  # the same quantile of a normal's absolute deviations


def center(values: Floats) -> float:
    """Return the Hodges-Lehmann estimate of at least one value, ``[n]``."""
    return 2 * float(np.median(_walsh_averages(values / 2)))  # halved: sums must not overflow


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
    """Return the deviation of normal noise that has the same core as at least one value.

    The core is the 40 % of values nearest to the median. Half of them (the median absolute
    deviation) would too often reach into the outliers of a machine with two modes. Where so many
    values are equal that the core has no width, as those of a coarse timer, it is the standard
    deviation of all.
    """
    ordered = np.sort(values)
    middle = (ordered[(len(values) - 1) // 2] + ordered[len(values) // 2]) / 2
    off = np.sort(np.abs(ordered - middle))
    core = float(np.interp(_CORE * (len(off) - 1), np.arange(len(off)), off))
    return core / _NORMAL_CORE if core > 0 else float(np.std(values))


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
