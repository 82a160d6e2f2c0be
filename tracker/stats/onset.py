"""Whether the newest few points of a history stand on a level of their own."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tracker.stats.noise import Floats, inflation, midranks, normal_scores
from tracker.stats.relevance import relevance

__all__ = ["onset"]

_MIN_BASE = 5
_MOST = 40  # points of a level that has just begun; as many older ones know their extremes
_FEWEST_BY_CHANCE = 4  # fewer points are a level only as a record
_RECORD = 1.5  # how much further out a record lies than anything before it
_UNTAINTED = 16  # newest points that the noise is not taken from, where there are others
# -log10 of the chance that the newest points all lie so far out in a series without a shift:
_ALONE = 5.0  # enough by itself
_IN_AGREEMENT = 2.0  # enough, on either side, where they also agree and stand clear of the noise
# Both grow with the age of the level: each doubling beyond so many points asks for as much again,
# so that new false alarms do not grow with the age of a history.
_YOUNG = 150
_NEAREST = 25  # points before the new level, which must show the step by themselves
_NEAREST_STEP = 1.5  # standard deviations; less is left to the test of held levels


class _Noise(NamedTuple):
    level: float
    spread: float
    inflation: float


def onset(values: Floats) -> int | None:
    """Return the index of the first point of a level that began at most 40 points ago, or None.

    For the newest 4, 5, ... points: the chance that all of them, or all but one, lie as far
    out as they do among the older ones, were the order of values random. A chance below 10^-5
    decides by itself. One of 10^-2 to lie so far out on either side decides where the new points agree
    with each other and stand clear of the noise: outliers are of all sizes and signs.

    Two or three points are too few for a chance. They are a level where they agree, stand clear of
    the noise and are a record: half as far out again as every earlier stretch of one point fewer, on
    either side, in 40 older points or more. A quiet series tells so at once, one with outliers waits.

    Either way the new level must be 1.5 standard deviations from the 25 points before it (a slow
    variation is not), last longer than any earlier stretch beyond half of its step, and matter
    (`tracker.stats.relevance`). Both exponents grow with the age of the level beyond 150 points, by
    as much again for each doubling, so that a series asked after every commit does not raise more
    false alarms as it ages; a record gets rarer with age by itself.

    Args:
        values: ``[n]``, finite, of one level but for the newest points; fewer than 9 say nothing.

    Assumptions:
        Older points exchangeable but for autocorrelation like AR(1), which shrinks the exponent: as
        estimated, and one standard error more.

    Small samples:
        Fewer than 9 points say nothing. The fewer points, the larger the standard error of their
        autocorrelation, and the more it takes.

    Source:
        The chance is that of order statistics, Wilks 1942; the constants were tuned on recorded
        histories: docs/experiments.md.
    """
    n = len(values)
    if n < _MIN_BASE + _FEWEST_BY_CHANCE:
        return None
    noise = _noise(values)
    deviations = values - noise.level
    newest_first = deviations[: -_MOST - 1 : -1]
    ordered = np.sort(deviations)
    sizes = np.sort(np.abs(deviations)).tolist()
    rising = _strongest(newest_first.tolist(), ordered.tolist(), sizes, noise)
    falling = _strongest((-newest_first).tolist(), (-ordered[::-1]).tolist(), sizes, noise)
    _, points = max(rising, falling)
    if not points:
        points = next((few for few in (3, 2) if _is_record(deviations, few, noise.spread)), 0)
    if not points:
        return None
    # Ranks cannot tell the last of the old level from the first of the new one; nearness can.
    half_way = float(np.median(deviations[n - points :])) / 2
    while deviations[n - points] / half_way < 1:
        points -= 1
    begun = n - points
    # Where the points before it lie half-way already, the level has moved slowly.
    new = float(np.median(deviations[begun:]))
    old = float(np.median(deviations[max(0, begun - _NEAREST) : begun]))
    if (new - old) * math.copysign(1.0, new) < _NEAREST_STEP * noise.spread:
        return None
    # A disturbance that came before and went may have come again: this one must outlast it.
    if _longest_run(deviations[:begun] / half_way >= 1) >= points:
        return None
    return begun if relevance(values[:begun], values[begun:]) >= 1 else None


def _longest_run(beyond: NDArray[np.bool_]) -> int:
    """Return how many in a row are true."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], beyond, [False]))))
    return int((edges[1::2] - edges[::2]).max(initial=0))


def _noise(values: Floats) -> _Noise:
    n = len(values)
    half = (n + 1) // 2
    older = values[: max(n - _UNTAINTED, half)]
    level = float(np.median(older))
    sizes = np.sort(np.abs(older - level))
    usual, large = sizes[len(sizes) // 2], sizes[int(0.9 * (len(sizes) - 1))]
    # More than half of the values may be equal, so the larger deviations count as well.
    spread = max(1.4826 * usual, large / (3 * 1.645), 1e-12 * abs(level), 1e-300)
    # A new level that is older than that must not pass for memory: its points have their own mean.
    scores = normal_scores(midranks(older))
    parts = np.split(scores, [max(n - _MOST, half)])
    residuals = np.concatenate([part - part.mean() for part in parts if len(part)])
    return _Noise(level, float(spread), float(inflation(residuals, num_means=2, standard_errors=1)))


def _strongest(
    newest: list[float], ordered: list[float], sizes: list[float], noise: _Noise
) -> tuple[float, int]:
    """Return -log10 of the least chance that decides, and of how many points; upwards only.

    Args:
        newest: Deviations from the level, the newest first.
        ordered: Those of the whole series, ascending.
        sizes: Their absolute values, ascending.
        noise: Of the series.
    """
    n = len(ordered)
    strongest = (0.0, 0)
    discount = noise.inflation * (1 + max(0.0, math.log2(n / _YOUNG)))
    level: list[float] = []  # the deviations of the newest points, ascending
    for points, deviation in enumerate(newest[: n - _MIN_BASE], start=1):
        insort(level, deviation)
        if points < _FEWEST_BY_CHANCE:
            continue
        if level[1] <= 0:
            break
        exponent = _exponent(_share_beyond(level[0], points, ordered, points), points)
        if deviation > level[0]:  # else the odd one out is the first: another start
            share = _share_beyond(level[1], points - 1, ordered, points)
            exponent = max(exponent, _exponent_but_one(share, points))
        either = _exponent(_share_beyond(level[0], points, sizes, points), points)
        if exponent >= _ALONE * discount or (
            either >= _IN_AGREEMENT * discount and _agree(level, noise.spread)
        ):
            strongest = max(strongest, (exponent, points))
    return strongest


def _share_beyond(bound: float, newest: int, ordered: list[float], points: int) -> float:
    """Return the share of older points at or beyond `bound`.

    Args:
        bound: A deviation.
        newest: How many of the newest points lie at or beyond it.
        ordered: The deviations of the older and newest points, ascending.
        points: How many are the newest.
    """
    if bound <= 0:
        return 1.0
    beyond = len(ordered) - bisect_left(ordered, bound) - newest
    return min(1.0, (beyond + 1) / (len(ordered) - points + 2))


def _exponent(share: float, points: int) -> float:
    return -points * math.log10(share)


def _exponent_but_one(share: float, points: int) -> float:
    return -math.log10(points * share ** (points - 1) - (points - 1) * share**points)


def _agree(level: list[float], spread: float) -> bool:
    """Whether the points stand clear of the noise, no further apart than noise would set them."""
    points = len(level)
    return (
        level[0] >= (1 + 4 / points) * spread
        and level[-1] - level[0] <= (2 + 1.25 * math.log2(points)) * spread
    )


def _is_record(deviations: Floats, points: int, spread: float) -> bool:
    """Whether the newest agree and lie far beyond every earlier stretch of one point fewer.

    They lie on one side; earlier stretches count on either. Two points surpass all outliers, three
    all pairs of outliers.
    """
    newest = np.sort(deviations[-points:] * math.copysign(1.0, deviations[-1])).tolist()
    older, bound = deviations[:-points], newest[0] / _RECORD
    return (
        len(older) >= _MOST
        and _agree(newest, spread)
        and max(_longest_run(older >= bound), _longest_run(older <= -bound)) < points - 1
    )
