"""The noise of a metric between launches of one commit, and what a comparison can see above it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

__all__ = ["MIN_DEGREES", "LaunchNoise", "launch_noise", "visible_change"]

_HEAVY_TAILS = 6  # degrees of freedom
MIN_DEGREES = 4  # below it Student's quantiles are so wide that "within noise" would mean nothing


@dataclass(frozen=True, slots=True)
class LaunchNoise:
    """The standard deviation of one launch.

    Attributes:
        deviation: Of the logarithm of the value, or of the value itself.
        degrees: Degrees of freedom: launches less commits.
        is_relative: Whether it is of logarithms, which every value above 0 allows.
    """

    deviation: float
    degrees: int
    is_relative: bool


def launch_noise(groups: Iterable[Sequence[float]]) -> LaunchNoise | None:
    """Return the noise pooled over commits; None where the launches are too few to tell.

    Args:
        groups: Values of launches of one commit in one environment; single ones say nothing.

    Assumptions:
        Noise of one size over the commits, without a trend within one.

    Small samples:
        None below `MIN_DEGREES` degrees of freedom.
    """
    repeated = [np.asarray(group, dtype=float) for group in groups if len(group) > 1]
    degrees = sum(len(group) - 1 for group in repeated)
    if degrees < MIN_DEGREES:
        return None
    is_relative = all(bool((group > 0).all()) for group in repeated)
    if is_relative:
        repeated = [np.log(group) for group in repeated]
    squares = sum(float(((group - group.mean()) ** 2).sum()) for group in repeated)
    return LaunchNoise(math.sqrt(squares / degrees), degrees, is_relative)


def visible_change(noise: LaunchNoise, num_base: int, num_head: int, *, alpha: float) -> float:
    """Return the least change between two medians that noise alone exceeds with chance `alpha`.

    Args:
        noise: Of one launch.
        num_base: Launches behind the base's median, at least 1.
        num_head: Launches behind the head's.
        alpha: Two-sided.

    Returns:
        A difference of logarithms, or of values where the noise is not relative.

    Assumptions:
        Single launches have heavy tails, as launches have: where a side has fewer than three, the
        quantile is that of Student's t with at most 6 degrees. The median of three tames them.

    Source:
        Student's t; a median of many has pi / 2 times the variance of their mean.
    """
    counts = (num_base, num_head)
    variance = sum((math.pi / 2 if n > 2 else 1.0) / n for n in counts)
    degrees = noise.degrees if min(counts) > 2 else min(noise.degrees, _HEAVY_TAILS)
    quantile = -float(special.stdtrit(degrees, alpha / 2))
    return quantile * noise.deviation * math.sqrt(variance)
