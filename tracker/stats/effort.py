"""How many pairs a noisy metric needs, and when the gate stops measuring pairs for it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import special

from tracker.stats.looks import can_call, fewest_pairs
from tracker.stats.robust import spread
from tracker.stats.signflip import scores

__all__ = ["PATIENCE", "Effort"]

Floats = NDArray[np.float64]

PATIENCE = 12  # pairs after which the noise is known well enough to give a metric up
_POWER = 0.975
# Standard errors by which a mean that keeps up is called in time, with fair probability.
_LIKELY = 3.3
_ABSENT = 6  # pairs in a row without a value after which none is expected


class Effort:
    """Forecasts for one policy. All of it is computed from the pairs alone, so a replay repeats it.

    Args:
        alpha: Of the gate.
        max_pairs: Of the gate.
    """

    def __init__(self, alpha: float, max_pairs: int) -> None:
        self._max_pairs = max_pairs
        self._errors = float(special.ndtri(1 - alpha / 2) + special.ndtri(_POWER))
        # Fewer pairs could not call a regression, whatever the noise.
        self._fewest = fewest_pairs(alpha) or 0
        if not can_call(max_pairs, alpha):
            self._fewest = max(self._fewest, max_pairs + 1)

    def needed(self, worse: Floats, room: float) -> int:
        """Return the pairs in which a slowdown of `detect` would be called with power 0.975.

        Args:
            worse: Contrasts, ``[pairs]``, at least two.
            room: `detect` minus the margin.

        Assumptions:
            A test of this metric alone at half of alpha, on normal noise of the spread seen: a lower
            bound for what the gate takes.
        """
        return max(self._fewest, self._for_noise(worse, room))

    def _for_noise(self, worse: Floats, room: float) -> int:
        return math.ceil((self._errors * spread(worse) / room) ** 2)

    def hopeless(self, worse: Floats, beyond: Floats, room: float) -> int | None:
        """Return the pairs that would decide a metric which the gate's pairs cannot; else None.

        A metric that looks worse is not given up: the gate goes on where its scores, if they keep
        their mean and deviation, come to a call in time.

        Args:
            worse: As for `needed`; NaN where a pair has no value.
            beyond: Contrasts beyond the margin, ``[pairs]``; likewise.
            room: `detect` minus the margin.
        """
        have = worse[~np.isnan(worse)]
        if len(worse) < PATIENCE or len(have) < 2:
            return None
        per_value = len(worse) / len(have)
        needed = math.ceil(self._for_noise(have, room) * per_value)
        if needed <= self._max_pairs:
            return None
        score = scores(beyond[~np.isnan(beyond)][:, None], np.array([room]))[:, 0]
        mean, deviation = float(score.mean()), float(score.std(ddof=1))
        to_call = (_LIKELY * deviation / mean) ** 2 * per_value if mean > 0 else math.inf
        return needed if to_call > self._max_pairs else None

    @staticmethod
    def absent(has_value: list[bool]) -> str:
        """Return why no value of a metric is expected any more; empty while one is.

        Args:
            has_value: By pair, whether the metric has a value in it.
        """
        if len(has_value) < _ABSENT or any(has_value[-_ABSENT:]):
            return ""
        if not any(has_value):
            return f"no value in any of {len(has_value)} pairs"
        return f"no value in the last {_ABSENT} pairs ({sum(has_value)} before)"
