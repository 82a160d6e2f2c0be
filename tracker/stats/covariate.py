"""How much of the noise of pairs a control workload of the same launches explains.

A control is work that no commit touches; where it takes longer, the machine is slower. How a metric
depends on it is learned *between* pairs, from the mean of a pair's two launches, and applied
*within* them, to the contrast of the two. Swapping the arms of a pair does not change its mean, and
a slowdown of head changes all means alike. So the slope does not depend on the signs of the pairs,
which keeps a sign-flip test of what is left as exact as one of the contrasts themselves, and it
never takes a real slowdown for machine noise. (This is a control variate whose mean is known to be
0 under the null; the regression uses other contrasts of the data than the test.)
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

__all__ = ["Estimate", "Explained", "estimate", "explained"]

Floats = NDArray[np.float64]

# A control is used where it explains this many times what chance would (an F ratio). Low, because
# a slope that is not real costs little, and a real one that is not used costs pairs.
_CLEAR = 3.0
_FEWEST = 5  # pairs; with fewer, any control seems to agree
# Chance that a control which is equal in both arms seems to differ. High, because that only costs
# the correction, while a commit that slows the control must not be excused by it.
_DIFFERS = 0.1
# Work on a machine that is 1 % slower takes about 1 % longer; more than twice that is chance.
_STEEPEST = 2.0


class Explained(NamedTuple):
    """What controls explain of contrasts.

    Attributes:
        part: ``[pairs, metrics]``, zeros where no control helps.
        control: Index of the control that is used, -1 for none, ``[metrics]``.
        differs: Whether that control itself differs between the arms, ``[metrics]``. Then it does
            not measure the machine alone: a test of what is left stays exact, but its mean is no
            estimate of the change.
    """

    part: Floats
    control: NDArray[np.intp]
    differs: NDArray[np.bool_]


def explained(arms: Floats, controls: Floats, positions: Floats) -> Explained:
    """Return what each metric's best control explains of its contrasts.

    Args:
        arms: Logarithms or shares of base and of head without the margin, more is worse,
            ``[2, pairs, metrics]``; NaN where missing.
        controls: Logarithms of the controls in the launches of each metric, more is slower,
            ``[2, pairs, metrics, controls]``; NaN where missing, which explains nothing.
        positions: Places of the launches in time, ``[2, pairs]``; NaN where not known.
    """
    _, num_pairs, num_metrics, num_controls = controls.shape
    if not num_metrics or num_pairs < _FEWEST:
        none = np.full(num_metrics, -1)
        return Explained(np.zeros((num_pairs, num_metrics)), none, none > 0)
    place = np.broadcast_to(positions[:, :, None, None], (2, num_pairs, num_metrics, 1))
    controls = np.concatenate([controls, place], axis=-1)
    is_place = np.arange(num_controls + 1) == num_controls
    levels, speeds = arms.sum(axis=0)[:, :, None] / 2, controls.sum(axis=0) / 2
    present = ~(np.isnan(levels) | np.isnan(speeds))
    level, speed = _around_mean(levels, present), _around_mean(speeds, present)
    squares = (speed * speed).sum(axis=0)
    slope = (level * speed).sum(axis=0) / np.where(squares > 0, squares, 1.0)
    slope = np.where(is_place, slope, np.maximum(slope, 0.0))
    gained = slope * slope * squares
    count = present.sum(axis=0)
    clear = gained * (count - 2) >= _CLEAR * ((level * level).sum(axis=0) - gained)
    slope = np.where(is_place, slope, np.minimum(slope, _STEEPEST))
    difference = np.where(present, controls[1] - controls[0], 0.0)
    contrast = np.nan_to_num(arms[1] - arms[0])[:, :, None]
    helps = ((contrast - slope * difference) ** 2).sum(axis=0) < (contrast**2).sum(axis=0)
    useful = np.where(clear & helps & (count >= _FEWEST), gained, 0.0)
    best = useful.argmax(axis=1)[:, None]
    used = useful.max(axis=1) > 0
    part = np.take_along_axis(slope * difference, best[None], axis=2)[:, :, 0]
    untrusted = _differs(difference, present, count) & ~is_place
    differs = np.take_along_axis(untrusted, best, axis=1)[:, 0]
    return Explained(np.where(used, part, 0.0), np.where(used, best[:, 0], -1), used & differs)


def _differs(
    difference: Floats, present: NDArray[np.bool_], count: NDArray[np.intp]
) -> NDArray[np.bool_]:
    """Whether the mean difference of each control is not 0, by Student's t."""
    mean = difference.sum(axis=0) / np.maximum(count, 1)
    off = _around_mean(difference, present)
    freedom = np.maximum(count - 1, 1)
    error = np.sqrt((off * off).sum(axis=0) / (freedom * np.maximum(count, 1)))
    differs: NDArray[np.bool_] = np.abs(mean) > special.stdtrit(freedom, 1 - _DIFFERS / 2) * error
    return differs


def _around_mean(values: Floats, present: NDArray[np.bool_]) -> Floats:
    """Return the values that are present minus their mean over pairs; 0 for the others."""
    known = np.where(present, values, 0.0)
    mean = known.sum(axis=0) / np.maximum(present.sum(axis=0), 1)
    centered: Floats = np.where(present, known - mean, 0.0)
    return centered


class Estimate(NamedTuple):
    """A mean contrast, its standard error and that error's degrees of freedom."""

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
    """Return the mean of contrasts, ``[pairs]``, after `slopes` fitted slopes were removed.

    The error is infinite where no degree of freedom is left.
    """
    n = len(values)
    freedom = n - 1 - slopes
    off = values - values.mean()
    error = math.sqrt(float(off @ off) / (freedom * n)) if freedom > 0 else math.inf
    return Estimate(float(values.mean()), error, freedom)
