"""The evidence of one look of the gate: scores of the pairs, and what sign flips make of them."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from tracker.stats.signflip import family_maxima, flip_sums, scores

__all__ = ["Evidence", "evidence", "flips_as_good"]

Floats = NDArray[np.float64]

# Sums of scores that differ by less are equal: rounding must not let one arrangement win.
_TIE = 1e-9
_MDE_POWER = 0.95
# Slowdowns beyond the margin that are tried for the minimum detectable effect, in units of `room`.
_MDE_STEPS = np.geomspace(1 / 32, 256, 64)


class Evidence(NamedTuple):
    """The scores of all metrics, and the best metric under each joint flip of the pairs.

    Attributes:
        beyond: Contrasts beyond the margin, ``[pairs, metrics]``; NaN where missing.
        room: Slowdown to detect minus the margin, by metric, ``[metrics]``.
        allowed: How many flips may do as well as what was observed for a call.
        sums: Sum of the observed scores, ``[metrics]``.
        highest: Largest sum over all metrics, ``[flips]``; empty where no flip is allowed.
    """

    beyond: Floats
    room: Floats
    allowed: int
    sums: Floats
    highest: Floats

    def as_good(self, column: int) -> int:
        """Return how many flips have a metric with at least this metric's sum."""
        return int(np.count_nonzero(self.highest >= self.sums[column] - _TIE))

    def calls(self, column: int) -> bool:
        """Whether this look calls the metric a regression."""
        return bool(self.allowed) and self.as_good(column) <= self.allowed

    def minimum_detectable(self, column: int) -> float | None:
        """Return the smallest contrast beyond the margin that this look calls with power 0.95."""
        noise = self.beyond[:, column]
        noise = noise[~np.isnan(noise)]
        if not self.allowed or len(noise) < 2:
            return None
        room = float(self.room[column])
        tried = room * _MDE_STEPS
        score = scores((noise - noise.mean())[:, None] + tried, np.full(len(tried), room))
        quantile = float(special.ndtri(_MDE_POWER))
        unlucky = quantile * math.sqrt(len(noise)) * score.std(axis=0, ddof=1)
        to_exceed = float(np.partition(self.highest, -self.allowed)[-self.allowed])
        excess = score.sum(axis=0) - unlucky - to_exceed
        called = np.flatnonzero(excess > _TIE)
        if not len(called):
            return None
        last = max(int(called[0]), 1)
        return float(np.interp(0.0, excess[last - 1 : last + 1], tried[last - 1 : last + 1]))


def evidence(beyond: Floats, room: Floats, allowed: int, seed: int) -> Evidence:
    """Return the evidence of contrasts beyond the margin; flips only where they can decide."""
    table = scores(beyond, room)
    highest = family_maxima(table, seed) if allowed else np.empty(0)
    return Evidence(beyond, room, allowed, table.sum(axis=0), highest)


def flips_as_good(contrasts: Floats, room: Floats, seed: int) -> NDArray[np.intp]:
    """Return by metric how many flips of its contrasts have at least their sum, ``[metrics]``.

    Args:
        contrasts: ``[pairs, metrics]``; NaN where missing.
        room: As of `Evidence`.
        seed: Of the random flips.
    """
    sums = flip_sums(scores(contrasts, room), seed)
    counts: NDArray[np.intp] = np.count_nonzero(sums >= sums[:, :1] - _TIE, axis=1)
    return counts
