"""Where a history splits into levels that have been held for a while."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from scipy.ndimage import median_filter

from tracker.stats.noise import Floats, inflation, midranks, normal_scores
from tracker.stats.relevance import relevance

__all__ = ["MIN_LEVEL", "clip_outliers", "splits"]

MIN_LEVEL = 8  # points; a machine is disturbed for fewer now and then

# Proposals: what one more change must explain, in squared noise deviations.
_PRICE = 30.0
_MEDIAN_POINTS = 9  # of the running median that outliers are clipped around
_CLIP = 3.0
_SCALE_POINTS = 101  # that the local noise is taken from

# Confirmation.
_THRESHOLD = 4.1
_DECILES = np.arange(1, 10) / 10
_SCORES = np.arange(1 + len(_DECILES))
_DECILE_PENALTY = 0.3  # the nine deciles are nine more chances to be wrong
_VALUES_PENALTY = 1.0
# Less evidence counts, by a penalty on the logarithm of the ratio, where a level is shorter than 40
# points, and where two are longer than 150 together: the longer, the more places to split them.
_SHORT_LEVEL = 40
_LONG_LEVELS = 150
_LENGTH_PENALTY = 2.5
_SAME_DIRECTION = 2.0
_NEAREST = 25  # points on either side of a change, which must show it by themselves
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
    all are judged again.

    A change is confirmed when all of these hold:

    * the evidence exceeds 4.1: the normalised difference of the two levels, in ten rank scores
      (normal scores; for each decile, whether a value exceeds it) and in the clipped values,
      divided by the noise's memory (AR(1), or the wander of partial sums if that is more), less
      penalties for short levels and for long ones;
    * the 25 points on either side show it too, with 0.8 deviations, more in long levels: what
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
            return confirmed
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
    """Return the changes of the best piecewise constant, by weighted squares, each at a price."""
    n = len(values)
    weights = (scale.min() / scale) ** 2
    price = _PRICE * float(scale.min()) ** 2
    centered = values - float(np.average(values, weights=weights))
    weight = np.concatenate(([0.0], np.cumsum(weights)))
    total = np.concatenate(([0.0], np.cumsum(weights * centered)))
    explained = np.full(n + 1, -np.inf)
    explained[0] = 0.0
    begun = np.zeros(n + 1, dtype=np.intp)
    for stop in range(1, n + 1):
        sums = total[stop] - total[:stop]
        gain = explained[:stop] + sums * sums / (weight[stop] - weight[:stop])
        begun[stop] = gain.argmax()
        explained[stop] = gain[begun[stop]] - price
    changes = []
    at = int(begun[n])
    while at > 0:
        changes.append(at)
        at = int(begun[at])
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
    too_long = max(0.0, math.log(n / _LONG_LEVELS))
    penalty = _LENGTH_PENALTY * (max(0.0, math.log(_SHORT_LEVEL / shorter)) + too_long)
    evidence, step = _evidence(values, clipped, split)
    # A level may drift away after its step: then the nearest points alone are the evidence.
    near = slice(max(0, split - _NEAREST), split + _NEAREST)
    nearby = _values_evidence(clipped[near], split - near.start) - 2 * _VALUES_PENALTY
    short = _LENGTH_PENALTY * math.log(_SHORT_LEVEL / min(shorter, _NEAREST))
    strength = min(
        max(evidence - penalty, nearby - short) / _THRESHOLD,
        step / (_NEAREST_STEP + _LONG_STEP * too_long),
        relevance(values[:split], values[split:]),
    )
    # A level too short to count is removed before anything else, the smaller step first.
    return strength if shorter >= MIN_LEVEL else min(strength, 1.0) - 1e3


def _evidence(values: Floats, clipped: Floats, split: int) -> tuple[float, float]:
    """Return the evidence for two levels, and the step of the nearest points, in deviations."""
    n = len(values)
    scores = _scores(values)
    difference = scores[:, split:].mean(axis=1) - scores[:, :split].mean(axis=1)
    contrast = difference * math.sqrt(split * (n - split) / n)
    within = np.sqrt(1 - np.minimum(contrast**2 / n, 1 - 1e-9))  # deviation about the two levels
    memory = np.sqrt([_memory(row, split) for row in scores])
    evidence = np.abs(contrast) / memory - _DECILE_PENALTY
    # Ranks cannot stand out further than complete separation: about its levels, the first does.
    evidence[0] = abs(contrast[0]) / within[0] / memory[0]
    # More values beyond a decile without a shift of the whole is a new shape, not a new level.
    along = contrast[0] * np.sign(contrast) / memory[0]
    evidence[(_SCORES > 0) & (along <= _SAME_DIRECTION)] = -math.inf
    best = int(evidence.argmax())
    nearest = (
        scores[best, split : split + _NEAREST].mean()
        - scores[best, max(0, split - _NEAREST) : split].mean()
    )
    step = float(nearest * np.sign(difference[best]) / within[best])
    return max(float(evidence[best]), _values_evidence(clipped, split) - _VALUES_PENALTY), step


def _values_evidence(clipped: Floats, split: int) -> float:
    """Return Student's t of the two levels over the noise's memory; no bound to short levels."""
    n = len(clipped)
    old, new = clipped[:split], clipped[split:]
    size = abs(float(new.mean() - old.mean()))
    energy = float(((old - old.mean()) ** 2).sum() + ((new - new.mean()) ** 2).sum())
    if energy <= 1e-18 * n * size * size:
        return math.inf if size > 0 else 0.0
    spread = math.sqrt(energy / (n - 2) * (1 / split + 1 / (n - split)))
    return size / spread / math.sqrt(_memory(clipped / math.sqrt(energy / n), split))


def _most_visible(values: Floats) -> int | None:
    """Return the split of one level that its ranks see best, after the noise's memory."""
    n = len(values)
    if n < 2 * MIN_LEVEL:
        return None
    scores = _scores(values)
    split = np.arange(MIN_LEVEL, n - MIN_LEVEL + 1)
    sums = np.cumsum(scores, axis=1)[:, split - 1]
    contrast = np.abs(sums) / np.sqrt(split * (n - split) / n)
    contrast[1:] -= _DECILE_PENALTY
    best = contrast.argmax(axis=1)
    memory = [_memory(row, int(split[i])) for row, i in zip(scores, best, strict=True)]
    winner = int((contrast[_SCORES, best] / np.sqrt(memory)).argmax())
    return int(split[best[winner]])


def _scores(values: Floats) -> Floats:
    """Return ``[scores, n]``: normal scores, then a row for each decile; mean 0, variance 1 or 0."""
    n = len(values)
    ranks = midranks(values)
    scores = np.empty((len(_SCORES), n))
    scores[0] = normal_scores(ranks)
    scores[1:] = ranks > (_DECILES * n + 0.5)[:, None]
    scores -= scores.mean(axis=1, keepdims=True)
    spread = np.sqrt((scores * scores).mean(axis=1, keepdims=True))
    return scores / np.where(spread > 0, spread, 1.0)


def _memory(scores: Floats, split: int) -> float:
    """Return the inflation of the variance of a mean by the noise's memory, the split taken out."""
    left = scores[:split] - scores[:split].mean()
    right = scores[split:] - scores[split:].mean()
    energy = float(left @ left + right @ right)
    if energy <= 1e-9 * len(scores):
        return 1.0
    inflated = inflation(np.concatenate((left, right)), num_means=2)
    bridges = np.cumsum(left), np.cumsum(right)
    # The mean square of a bridge of k unit steps is k / 6 without memory.
    return max(
        inflated, 6 * sum(float(bridge @ bridge) / len(bridge) for bridge in bridges) / energy
    )
