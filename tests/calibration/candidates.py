"""Sequential tests that could call a regression, on the same pairs as the gate.

Each takes the log ratios beyond the margin, ``[pairs, metrics]``, positive is worse, and returns
the metrics it calls first and after how many pairs, or nobody and None. All bound the chance of a
false call in the family by `ALPHA` at any stopping time, under their own assumptions.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tracker.stats.looks import called_flips, look_schedule
from tracker.stats.signflip import family_maxima, scores

Floats = NDArray[np.float64]
Calls = tuple[frozenset[int], int | None]

ALPHA = 0.01
RELEVANT = math.log1p(0.03) - math.log1p(0.01)


def relevant_scores(differences: Floats) -> Calls:
    """The gate's own: sums of scores on the relevant scale under joint sign flips."""
    relevant = np.full(differences.shape[1], RELEVANT)
    return _joint_flips(differences, lambda y: scores(y, relevant))


def self_normalized_sums(differences: Floats) -> Calls:
    """The gate's first form: each metric's sum over the root of its sum of squares."""
    return _joint_flips(differences, lambda y: y / np.sqrt(np.sum(y**2, axis=0)))


def _joint_flips(differences: Floats, score: Callable[[Floats], Floats]) -> Calls:
    for pairs, allowed in called_flips(ALPHA, look_schedule(len(differences))).items():
        if allowed:
            table = score(differences[:pairs])
            highest = np.sort(family_maxima(table, seed=0))
            as_good = len(highest) - np.searchsorted(highest, table.sum(axis=0) - 1e-9)
            if (as_good <= allowed).any():
                return frozenset(np.flatnonzero(as_good <= allowed).tolist()), pairs
    return frozenset(), None


def betting(differences: Floats) -> Calls:
    """A bettor against each metric, with bounded scores; wealth beyond metrics/alpha calls it.

    The wealth is the mean over fixed stakes, a supermartingale while noise is symmetric
    (Waudby-Smith & Ramdas 2024; Ville's inequality).
    """
    bounded = np.clip(differences / RELEVANT, -1, 1)[:, :, None]
    stakes = np.array([0.25, 0.5, 0.75, 0.95])
    wealth = np.cumprod(1 + stakes * bounded, axis=0).mean(axis=2)
    return _first_above(wealth, differences.shape[1] / ALPHA)


def sequential_t(differences: Floats) -> Calls:
    """The mixture likelihood ratio of Student's t (Lai 1976), for normal noise.

    Effect sizes are mixed by a normal of variance 4; the mean must point to worse.
    """
    pairs = np.arange(1, len(differences) + 1)[:, None]
    mean = np.cumsum(differences, axis=0) / pairs
    squares = np.cumsum(differences**2, axis=0)
    explained = pairs * mean**2 / squares  # t**2 / (t**2 + pairs - 1)
    inflated = 1 + 4.0 * pairs
    with np.errstate(divide="ignore"):
        left = (1 - explained * (1 - 1 / inflated)) ** (-pairs / 2)
    evidence = np.where(mean > 0, left / np.sqrt(inflated), 0.0)
    evidence[0] = 0.0  # one pair has no t
    return _first_above(evidence, differences.shape[1] / ALPHA)


def _first_above(evidence: Floats, limit: float) -> Calls:
    above = evidence >= limit
    if not above.any():
        return frozenset(), None
    first = int(np.argmax(above.any(axis=1)))
    return frozenset(np.flatnonzero(above[first]).tolist()), first + 1


CANDIDATES: dict[str, Callable[[Floats], Calls]] = {
    "sign flips, relevant scale (in use)": relevant_scores,
    "sign flips, self-normalised": self_normalized_sums,
    "betting on bounded scores": betting,
    "sequential t (mixture)": sequential_t,
}
