"""How much a shift of level matters, to whom reads a history."""

from __future__ import annotations

import math

import numpy as np

from tracker.stats.noise import Floats
from tracker.stats.robust import spread

__all__ = ["relevance"]

# Three quarters of the margin inside which the gate lets a commit pass: link order, memory layout
# and a reboot move a benchmark's level by as much.
_LEAST_SHARE = 0.0075
_LEAST_SPREADS = 3.0  # a smaller shift that nobody can overlook matters as well


def relevance(old: Floats, new: Floats) -> float:
    """Return the shift between two levels over the least one that matters: below 1 it does not.

    A shift matters that is 0.75 % of the old level, or three times its noise.

    Args:
        old: ``[points]`` of the old level.
        new: ``[points]`` of the new level.

    Source:
        Mytkowicz et al. 2009, "Producing wrong data without doing anything obviously wrong!":
        what moves a level without a change of the code. Measured: docs/experiments.md.
    """
    level = float(np.median(old))
    least = min(_LEAST_SHARE * abs(level), _LEAST_SPREADS * spread(old))
    shift = abs(float(np.median(new)) - level)
    if shift <= 0:
        return 0.0
    return shift / least if least > 0 else math.inf
