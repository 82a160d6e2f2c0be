"""What a control measured in the same launches knows of the noise of pairs.

A control is work that no commit touches; where it takes longer, the node is slower. How a metric
follows it is learned *between* pairs, from the mean of a pair's two launches, and used *within* them,
on the ratio of the two. The mean of a pair is the same whichever arm is which, and a slowdown
of head moves all means alike. So the slope neither depends on the signs of the pairs, which
keeps a sign-flip test of what is left as exact as one of the ratios themselves, nor takes a real
slowdown for the node's. (A control variate whose mean is known to be 0 under the null; the
regression is on other contrasts of the data than those that are tested.)
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

__all__ = ["Estimate", "Explained", "estimate", "explained"]

Floats = NDArray[np.float64]

# A control is followed where it explains this many times what chance would (an F ratio): low, for
# a slope that is not there costs little, and one that is not used costs pairs.
_CLEAR = 3.0
_FEWEST = 5  # pairs; fewer agree with any control
# Chance at which a control that is alike in both arms seems to differ: high, for that only costs
# the correction, and a commit that reaches the control must not be excused by it.
_LEAN = 0.1
# Whoever waits for a node that is 1 % slower takes some 1 % longer; more than twice is chance.
_STEEPEST = 2.0


class Explained(NamedTuple):
    """What controls explain of log ratios.

    Attributes:
        part: ``[pairs, metrics]``, zeros where no control helps.
        control: Index of the control that is followed, -1 for none, ``[metrics]``.
        leans: Whether that control itself differs between the arms, ``[metrics]``. It then is not the
            node's alone: a test of what is left stays exact, but its mean is no estimate of the
            change.
    """

    part: Floats
    control: NDArray[np.intp]
    leans: NDArray[np.bool_]


def explained(arms: Floats, controls: Floats, margin: Floats) -> Explained:
    """Return what each metric's best control explains of its log ratios.

    Args:
        arms: Logarithms of base and head, signed so that more is worse, ``[2, pairs, metrics]``;
            NaN where missing.
        controls: Logarithms of the controls in the launches of each metric, more is slower,
            ``[2, pairs, metrics, controls]``; NaN where missing, which explains nothing.
        margin: Of each metric, a logarithm, ``[metrics]``: a control is followed only where what
            is left of the ratios beyond it is less.
    """
    _, num_pairs, num_metrics, num_controls = controls.shape
    if not num_metrics or not num_controls or num_pairs < _FEWEST:
        none = np.full(num_metrics, -1)
        return Explained(np.zeros((num_pairs, num_metrics)), none, none > 0)
    values, paces = arms.sum(axis=0)[:, :, None] / 2, controls.sum(axis=0) / 2
    there = ~(np.isnan(values) | np.isnan(paces))
    level, pace = _around_mean(values, there), _around_mean(paces, there)
    squares = (pace * pace).sum(axis=0)
    slope = np.clip((level * pace).sum(axis=0) / np.where(squares > 0, squares, 1.0), 0.0, None)
    gained = slope * slope * squares
    count = there.sum(axis=0)
    clear = gained * (count - 2) >= _CLEAR * ((level * level).sum(axis=0) - gained)
    slope = np.minimum(slope, _STEEPEST)
    difference = np.where(there, controls[1] - controls[0], 0.0)
    beyond = np.nan_to_num(arms[1] - arms[0] - margin)[:, :, None]
    helps = ((beyond - slope * difference) ** 2).sum(axis=0) < (beyond**2).sum(axis=0)
    useful = np.where(clear & helps & (count >= _FEWEST), gained, 0.0)
    best = useful.argmax(axis=1)[:, None]
    followed = useful.max(axis=1) > 0
    part = np.take_along_axis(slope * difference, best[None], axis=2)[:, :, 0]
    leans = np.take_along_axis(_leans(difference, there, count), best, axis=1)[:, 0]
    return Explained(
        np.where(followed, part, 0.0), np.where(followed, best[:, 0], -1), followed & leans
    )


def _leans(
    difference: Floats, there: NDArray[np.bool_], count: NDArray[np.intp]
) -> NDArray[np.bool_]:
    """Whether the mean difference of each control is not 0, by Student's t."""
    mean = difference.sum(axis=0) / np.maximum(count, 1)
    off = _around_mean(difference, there)
    freedom = np.maximum(count - 1, 1)
    error = np.sqrt((off * off).sum(axis=0) / (freedom * np.maximum(count, 1)))
    leans: NDArray[np.bool_] = np.abs(mean) > special.stdtrit(freedom, 1 - _LEAN / 2) * error
    return leans


def _around_mean(values: Floats, there: NDArray[np.bool_]) -> Floats:
    """Return the values that are there less their mean over pairs; 0 for the others."""
    known = np.where(there, values, 0.0)
    mean = known.sum(axis=0) / np.maximum(there.sum(axis=0), 1)
    centered: Floats = np.where(there, known - mean, 0.0)
    return centered


class Estimate(NamedTuple):
    """A mean log ratio, its standard error and that error's degrees of freedom."""

    mean: float
    error: float
    freedom: int

    def upper(self, miss: float) -> float:
        """Return the bound that the true mean exceeds with probability `miss`, by Student's t."""
        return self.mean - float(special.stdtrit(self.freedom, miss)) * self.error

    def interval(self, miss: float) -> tuple[float, float]:
        """Return the bounds that the true mean is beyond with probability `miss` on each side."""
        high = self.upper(miss)
        return 2 * self.mean - high, high


def estimate(values: Floats, *, slopes: int = 0) -> Estimate:
    """Return the mean of log ratios, ``[pairs]``, from which so many fitted slopes were taken out.

    The error is infinite where nothing is left to tell it from.
    """
    n = len(values)
    freedom = n - 1 - slopes
    off = values - values.mean()
    error = math.sqrt(float(off @ off) / (freedom * n)) if freedom > 0 else math.inf
    return Estimate(float(values.mean()), error, freedom)
