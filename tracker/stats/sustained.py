"""Where a history splits into levels that have been held for a while."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from tracker.stats.noise import Floats, inflation, midranks, normal_scores
from tracker.stats.relevance import relevance

__all__ = ["MIN_LEVEL", "clip_outliers", "splits"]

MIN_LEVEL = 8  # points; a machine is disturbed for fewer now and then

_BLOCK = 8  # points that are proposed at a time, for speed only
# Confirmation: the evidence for a change, in standard deviations.
_THRESHOLD = 4.1

# Proposals: what one more change must explain, in squared noise deviations; less is not confirmed.
_PRICE = _THRESHOLD**2
_MEDIAN_POINTS = MIN_LEVEL + 1  # of the running median that outliers are clipped around
_CLIP = 3.0
_SCALE_POINTS = 101  # that the local noise is taken from

_DECILES = np.arange(1, 10) / 10
_DECILE_PENALTY = 0.3  # the nine deciles are nine more chances to be wrong
_VALUES_PENALTY = 1.0
# Of normal scores, deciles and values.
_PENALTIES = np.array([0.0, *[_DECILE_PENALTY] * len(_DECILES), _VALUES_PENALTY])
_IS_DECILE = _PENALTIES == _DECILE_PENALTY
# Less evidence counts, by a penalty on the logarithm of the ratio, where a level is shorter than 40
# points, and where two are longer than 160 together: the longer, the more places to split them.
_SHORT_LEVEL = 40
_LONG_LEVELS = 4 * _SHORT_LEVEL
_LENGTH_PENALTY = 2.5
_SAME_DIRECTION = 2.0
_NEAREST = _SHORT_LEVEL  # points on either side of a change, which must show it by themselves
_NEAREST_STEP = 0.8  # standard deviations within the levels
_LONG_STEP = 0.2  # more, by the logarithm of the excess length: a long history wanders further


def splits(values: Floats) -> list[int]:
    """Return the index of the first point of each new level of `values`, ascending.

    Levels are *proposed*, then *confirmed*.

    A proposal is the piecewise constant that explains most of the series, each change at a price
    (optimal partitioning). Outliers are clipped around a running median first, and points weighed
    by the local noise. Then each change is judged by the two levels beside it; the
    weakest that fails is dropped, its levels join, and its neighbours are judged anew. In what is left,
    each level is split where the ranks see most (noise with several modes hides from a mean), and
    all are judged again. A change that is left is *placed* where its two levels are most likely.

    A change is confirmed when all of these hold:

    * the evidence exceeds 4.1: the normalised difference of the two levels, in ten rank scores
      (normal scores; for each decile, whether a value exceeds it) and in the clipped values,
      divided by the noise's memory (AR(1), or the wander of partial sums if that is more), less
      penalties for short levels and for long ones;
    * the 40 points on either side show it too, with 0.8 deviations, more in long levels: what
      wanders slowly does not;
    * both levels have 8 points, and the shift matters (`tracker.stats.relevance`).

    Args:
        values: ``[n]``, finite; fewer than 16 have no split.

    Assumptions:
        Noise within a level is stationary, with short memory.

    Source:
        Jackson et al. 2005 (optimal partitioning); Fearnhead & Rigaill 2019 (clipping outliers);
        van der Waerden 1952 (normal scores); Shao & Zhang 2010, J. Am. Stat. Assoc. 105 (the
        wander of partial sums). Each constant's experiment: docs/experiments.md.
    """
    if len(values) < 2 * MIN_LEVEL or values.min() == values.max():
        return []
    clipped, scale = clip_outliers(values)
    judge = _Judge(values, clipped)
    confirmed = judge.confirmed(_proposed(clipped, scale))
    searched: set[tuple[int, int]] = set()
    while True:
        levels = set(pairwise([0, *confirmed, len(values)])) - searched
        searched |= levels
        fresh = [
            start + split
            for start, stop in levels
            if (split := _most_visible(values[start:stop])) is not None
            and judge(start, start + split, stop) >= 1
        ]
        if not fresh:
            edges = [0, *confirmed, len(values)]
            return [_placed(values, judge, *edges[k : k + 3]) for k in range(len(confirmed))]
        confirmed = judge.confirmed(sorted({*confirmed, *fresh}))


def clip_outliers(values: Floats) -> tuple[Floats, Floats]:
    """Return `values` with outliers clipped, and the standard deviation of the noise by place."""
    middle = median_filter(values, _MEDIAN_POINTS, mode="nearest")
    rest = values - middle
    # The median of nine follows the noise a little: 1.1 puts that back.
    points = min(_SCALE_POINTS, len(values) // 2 * 2 - 1)
    local = 1.1 * 1.4826 * median_filter(np.abs(rest), points, mode="nearest")
    overall = 1.1 * 1.4826 * float(np.median(np.abs(rest))) or float(np.abs(rest).mean())
    least = max(overall / 4, 1e-9 * float(np.abs(values).max()))
    scale = np.maximum(local, least)
    return middle + np.clip(rest, -_CLIP * scale, _CLIP * scale), scale


def _proposed(values: Floats, scale: Floats) -> list[int]:
    """Return the changes of the best piecewise constant, by weighted squares, each at a price.

    The best level that ends at each stop, for a block of stops at a time: of all starts before the
    block at once, then of the few starts within it.
    """
    n = len(values)
    weights = (scale.min() / scale) ** 2
    price = _PRICE * float(scale.min()) ** 2
    centered = values - float(np.average(values, weights=weights))
    weight = np.concatenate(([0.0], np.cumsum(weights)))
    total = np.concatenate(([0.0], np.cumsum(weights * centered)))
    weights_to, totals_to = weight.tolist(), total.tolist()
    explained = np.zeros(n + 1)
    begun = [0] * (n + 1)
    for first in range(1, n + 1, _BLOCK):
        stops = slice(first, first + _BLOCK)
        sums = total[stops, None] - total[:first]  # [stops, starts]
        gains = explained[:first] + sums * sums / (weight[stops, None] - weight[:first])
        starts, best = gains.argmax(axis=1).tolist(), gains.max(axis=1).tolist()
        for row in range(len(best)):
            stop = first + row
            for earlier in range(row):
                start = first + earlier
                rise = totals_to[stop] - totals_to[start]
                gain = best[earlier] + rise * rise / (weights_to[stop] - weights_to[start])
                if gain > best[row]:
                    best[row], starts[row] = gain, start
            best[row] -= price
        explained[stops], begun[stops] = best, starts
    changes = []
    at = begun[n]
    while at > 0:
        changes.append(at)
        at = begun[at]
    return changes[::-1]


class _Judge:
    """Whether two levels differ: at least 1 confirms; each pair is looked at once."""

    def __init__(self, values: Floats, clipped: Floats) -> None:
        self._values = values
        self._clipped = clipped
        self._known: dict[tuple[int, int, int], float] = {}

    def __call__(self, start: int, split: int, stop: int) -> float:
        place = start, split, stop
        if place not in self._known:
            self._known[place] = _strength(
                self._values[start:stop], self._clipped[start:stop], split - start
            )
        return self._known[place]

    def confirmed(self, changes: list[int]) -> list[int]:
        """Drop the weakest change while it fails; its levels join."""
        changes = list(changes)
        while changes:
            edges = [0, *changes, len(self._values)]
            strengths = [self(*edges[k : k + 3]) for k in range(len(changes))]
            weakest = int(np.argmin(strengths))
            if strengths[weakest] >= 1:
                break
            del changes[weakest]
        return changes


def _strength(values: Floats, clipped: Floats, split: int) -> float:
    """Return the least of what the criteria give, each over what it asks for."""
    n, shorter = len(values), min(split, len(values) - split)
    if shorter < MIN_LEVEL:  # removed before anything else, the smaller step first
        return abs(float(clipped[:split].mean() - clipped[split:].mean())) - 1e3
    too_long = max(0.0, math.log(n / _LONG_LEVELS))
    penalty = _LENGTH_PENALTY * (max(0.0, math.log(_SHORT_LEVEL / shorter)) + too_long)
    evidence, step = _evidence(_scores(values, clipped), split)
    # A level may drift away after its step: then the nearest points alone are the evidence.
    near = slice(max(0, split - _NEAREST), split + _NEAREST)
    nearby = _contrasts(_standardized(clipped[None, near]), split - near.start)
    student = abs(float(nearby.student[0]))
    short = _LENGTH_PENALTY * math.log(_SHORT_LEVEL / min(shorter, _NEAREST))
    return min(
        max(evidence - penalty, student - 2 * _VALUES_PENALTY - short) / _THRESHOLD,
        step / (_NEAREST_STEP + _LONG_STEP * too_long),
        relevance(values[:split], values[split:]),
    )


def _evidence(scores: Floats, split: int) -> tuple[float, float]:
    """Return the evidence for two levels, and the step of the nearest points, in deviations."""
    contrasts = _contrasts(scores, split)
    # An indicator cannot stand out further than complete separation; about their levels, the others do.
    evidence = np.abs(np.where(_IS_DECILE, contrasts.plain, contrasts.student)) - _PENALTIES
    # More values beyond a decile without a shift of the whole is a new shape, not a new level.
    along = contrasts.plain[0] * np.sign(contrasts.plain)
    evidence[_IS_DECILE & (along <= _SAME_DIRECTION)] = -math.inf
    best = int(evidence[:-1].argmax())  # of the ranks: values mix noise of several modes
    old, new = (
        scores[best, max(0, split - _NEAREST) : split],
        scores[best, split : split + _NEAREST],
    )
    step = (new.mean() - old.mean()) * np.sign(contrasts.plain[best]) / contrasts.within[best]
    return float(evidence.max()), float(step)


class _Contrasts(NamedTuple):
    """Normalised differences of two levels, the noise's memory taken out, by row of scores.

    Attributes:
        plain: About the common mean.
        student: About the two levels, like Student's t.
        within: Standard deviation about the two levels.
    """

    plain: Floats
    student: Floats
    within: Floats


def _contrasts(scores: Floats, split: int) -> _Contrasts:
    n = scores.shape[1]
    difference = scores[:, split:].mean(axis=1) - scores[:, :split].mean(axis=1)
    contrast = difference * math.sqrt(split * (n - split) / n)
    within = np.sqrt(1 - np.minimum(contrast**2 / n, 1 - 1e-9))
    plain = contrast / np.sqrt(_memory(scores, split))
    return _Contrasts(plain, plain / within, within)


def _placed(values: Floats, judge: _Judge, start: int, split: int, stop: int) -> int:
    """Return where a confirmed `split` is most likely, unless it is stronger where it was proposed.

    The levels are taken as they are, the noise as Student's t with 3 degrees of freedom, so
    that no outlier decides. Noise of several modes is not like that, and the ranks have seen it.
    """
    old, new = float(np.median(values[start:split])), float(np.median(values[split:stop]))
    level = values[start:stop]
    from_old, from_new = level - old, level - new
    residuals = np.concatenate((from_old[: split - start], from_new[split - start :]))
    scale = max(1.4826 * float(np.median(np.abs(residuals))), 1e-6 * abs(new - old))
    nearer_to_new = np.log1p((from_old / scale) ** 2 / 3) - np.log1p((from_new / scale) ** 2 / 3)
    since = np.cumsum(nearer_to_new[::-1])[::-1]
    likely = start + MIN_LEVEL + int(since[MIN_LEVEL : len(level) - MIN_LEVEL + 1].argmax())
    return likely if judge(start, likely, stop) >= judge(start, split, stop) else split


def _most_visible(values: Floats) -> int | None:
    """Return the split of one level that its ranks see best, after the noise's memory."""
    n = len(values)
    if n < 2 * MIN_LEVEL:
        return None
    scores = _rank_scores(values)
    split = np.arange(MIN_LEVEL, n - MIN_LEVEL + 1)
    sums = np.cumsum(scores, axis=1)[:, split - 1]
    contrast = np.abs(sums) / np.sqrt(split * (n - split) / n)
    contrast[1:] -= _DECILE_PENALTY
    best = contrast.argmax(axis=1)
    rows = np.arange(len(scores))
    winner = int((contrast[rows, best] / np.sqrt(_memory(scores, split[best]))).argmax())
    return int(split[best[winner]])


def _scores(values: Floats, clipped: Floats) -> Floats:
    """Return ``[scores, n]``, standardised: normal scores, a row for each decile, clipped values."""
    return np.concatenate((_rank_scores(values), _standardized(clipped[None])))


def _rank_scores(values: Floats) -> Floats:
    n = len(values)
    ranks = midranks(values)
    above = ranks > (_DECILES * n + 0.5)[:, None]
    return _standardized(np.concatenate((normal_scores(ranks)[None], above)))


def _standardized(rows: Floats) -> Floats:
    """Return rows of mean 0, and of variance 1 where they are not constant."""
    centered = rows - rows.mean(axis=1, keepdims=True)
    spread = np.sqrt((centered * centered).mean(axis=1, keepdims=True))
    standardized: Floats = centered / np.where(spread > 0, spread, 1.0)
    return standardized


def _memory(scores: Floats, split: NDArray[np.intp] | int) -> Floats:
    """Return the inflation of the variance of a mean by the noise's memory, ``[rows]``.

    Args:
        scores: ``[rows, n]``, of mean 0.
        split: Of each row, ``[rows]``, or of all; its shift is taken out.
    """
    n = scores.shape[1]
    splits = np.broadcast_to(split, len(scores))[:, None]
    is_old = np.arange(n) < splits
    old = np.cumsum(scores, axis=1)[np.arange(len(scores))[:, None], splits - 1]
    residuals = scores - np.where(is_old, old / splits, -old / (n - splits))
    energy = (residuals * residuals).sum(axis=1)
    # The mean square of a bridge of k unit steps is k / 6 without memory.
    bridges = np.cumsum(residuals, axis=1) ** 2 / np.where(is_old, splits, n - splits)
    some = energy > 1e-9 * n
    wander = 6 * bridges.sum(axis=1) / np.where(some, energy, 1.0)
    memory: Floats = np.where(some, np.maximum(inflation(residuals, num_means=2), wander), 1.0)
    return memory
