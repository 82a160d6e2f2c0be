"""Which differences of a call tree are beyond the noise of the pairs, and their intervals. Pure.

The test is the gate's: joint sign flips of whole pairs over all places at once, so that the chance of
calling any place slower where none is stays below one in a hundred.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tracker.stats.robust import center, interval
from tracker.stats.signflip import family_maxima, scores

__all__ = ["ALPHA", "LEAST_PAIRS", "Difference", "judged_differences"]

ALPHA = 0.01
LEAST_PAIRS = 7  # below, no arrangement of the signs is rare enough
_BEYOND = 0.025  # chance on each side of an interval
_RELEVANT = 0.01  # of a step: a difference that matters
_RELEVANT_SHARE = 0.1  # of the typical absolute difference of the whole, likewise

Floats = NDArray[np.float64]


class Difference:
    """One place's differences over the pairs.

    Attributes:
        seconds: Their centre.
        low, high: 95 % interval; None where so few pairs give none.
        is_certain: Whether it is beyond the noise.
    """

    __slots__ = ("high", "is_certain", "low", "seconds")

    def __init__(self, values: Floats, *, is_certain: bool) -> None:
        ends = interval(values, _BEYOND)
        self.seconds = center(values)
        self.low = ends[0] if ends is not None else None
        self.high = ends[1] if ends is not None else None
        self.is_certain = is_certain


def judged_differences(
    rows: Sequence[Sequence[float]], step: float, whole: Sequence[float] = ()
) -> list[Difference]:
    """Return the differences of every place, judged together.

    Args:
        rows: Of each place, its differences by pair, seconds a step; at least one pair.
        step: Seconds of a step of the base.
        whole: The whole difference by pair, of which the rows are parts. Only its sizes count, which
            no exchange of the arms changes: beside a large difference a small one does not matter.

    Assumptions:
        Base and head of a pair are exchangeable where they do not differ: their order is drawn.
    """
    if not rows:
        return []
    table = np.array(rows, dtype=np.float64).T  # [pairs, places]
    typical = float(np.median(np.abs(whole))) if len(whole) else 0.0
    least = max(_RELEVANT * step, _RELEVANT_SHARE * typical, 1e-12)
    relevant = np.full(table.shape[1], least)
    worse = _p_values(table, relevant)
    better = _p_values(-table, relevant)
    return [
        Difference(table[:, k], is_certain=bool(min(worse[k], better[k]) <= ALPHA))
        for k in range(table.shape[1])
    ]


def _p_values(table: Floats, relevant: Floats) -> Floats:
    scored = scores(table, relevant)
    maxima = family_maxima(scored, seed=0)
    sums = scored.sum(axis=0)
    # The identity is one of the flips: no p-value is below one over their number.
    return np.array([np.mean(maxima >= total - 1e-12) for total in sums])
