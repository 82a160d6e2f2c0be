"""Where a history splits into two levels that have both been held for a while."""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tracker.stats.noise import Floats, inflation, midranks, normal_scores
from tracker.stats.relevance import relevance

__all__ = ["splits"]

_MIN_LEVEL = 4
_THRESHOLD = 4.1
_DECILES = np.arange(1, 10) / 10
_SCORES = np.arange(1 + len(_DECILES))
# The nine shares of a row are nine more chances to be wrong.
_SHARE_PENALTY = 0.3
# A machine is disturbed for a while now and then: a level that has held for fewer points than this
# must stand out more, by the logarithm of what is missing.
_SHORT_LEVEL = 40
_SHORT_PENALTY = 2.5
# Neighbourhoods see a step that a later one takes back; there are many of them.
_WIDTHS = (25, 50, 100)
_NEIGHBOURHOOD_PENALTY = 1.5
_SAME_DIRECTION = 2.0
_WANDER_FREE = 1.5


def splits(values: Floats) -> list[int]:
    """Return the index of the first point of each new level of `values`, ascending.

    The series is split where the evidence is largest, and both parts are treated alike. Evidence is
    the normalised difference of the two sides of a split, in the whole part and in neighbourhoods
    of fixed widths, of ten scores: the normal scores of the ranks, and for each decile whether a
    value exceeds it. The former see any shift of well-behaved noise, the latter one of noise with
    several modes (runners of several kinds), which hides in the ranks. All are ranks: outliers and
    heavy tails are harmless. The evidence shrinks with the noise's memory: its first-order
    autocorrelation, or how far the series wanders within the two levels if that is more. Shifts
    too small to matter (`tracker.stats.relevance`) are left out.

    Args:
        values: ``[n]``, finite; fewer than 8 have no split.

    Assumptions:
        Noise within a level is stationary, with short memory.

    Source:
        Page 1954 (CUSUM); van der Waerden 1952 (normal scores); Chu, Hornik & Kaplan 1995
        (moving sums); Shao & Zhang 2010, J. Am. Stat. Assoc. 105 (the wander of partial sums).
        The constants were tuned on recorded histories: docs/experiments.md.
    """
    found: list[int] = []
    pending = [(0, len(values))]
    while pending:
        start, stop = pending.pop()
        split = _best_split(values[start:stop])
        if split is not None:
            found.append(start + split)
            pending += [(start, start + split), (start + split, stop)]
    return _relevant(values, sorted(found))


def _relevant(values: Floats, found: list[int]) -> list[int]:
    """Return `found` without shifts too small to matter; the smallest goes first, its levels join."""
    while found:
        sizes = [relevance(old, new) for old, new in pairwise(np.split(values, found))]
        least = int(np.argmin(sizes))
        if sizes[least] >= 1:
            break
        found = found[:least] + found[least + 1 :]
    return found


class _Places(NamedTuple):
    """Every split of ``n`` points looked at, each within a window; arrays ``[places]``."""

    start: NDArray[np.intp]
    split: NDArray[np.intp]
    stop: NDArray[np.intp]
    length: Floats
    left_share: Floats
    scale: Floats  # standard deviation of the left sum of unit noise around its share
    penalty: Floats


def _best_split(values: Floats) -> int | None:
    n = len(values)
    if n < 2 * _MIN_LEVEL:
        return None
    at = _places(n)
    scores = _scores(values)
    sums = _running(scores)
    squares = _running(scores * scores)
    before = sums[:, at.start]
    total = sums[:, at.stop] - before
    variance = (squares[:, at.stop] - squares[:, at.start]) / at.length - (total / at.length) ** 2
    spread = at.scale * np.sqrt(np.where(variance > 1e-9, variance, np.inf))
    contrast = (sums[:, at.split] - before - total * at.left_share) / spread
    penalty = at.penalty + np.where(_SCORES > 0, _SHARE_PENALTY, 0.0)[:, None]
    raw = np.abs(contrast) - penalty
    best = raw.argmax(axis=1)
    if raw[_SCORES, best].max() <= _THRESHOLD:  # memory only takes away
        return None
    widened = [
        math.sqrt(_memory(scores[row, at.start[i] : at.stop[i]], int(at.split[i] - at.start[i])))
        for row, i in enumerate(best)
    ]
    along = contrast[0, best] * np.sign(contrast[_SCORES, best]) / widened[0]
    evidence = np.abs(contrast[_SCORES, best]) / widened - penalty[_SCORES, best]
    # More values beyond a decile without a shift of the whole is a new shape, not a new level.
    evidence[(_SCORES > 0) & (along <= _SAME_DIRECTION)] = -math.inf
    winner = int(evidence.argmax())
    return int(at.split[best[winner]]) if evidence[winner] > _THRESHOLD else None


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


def _running(rows: Floats) -> Floats:
    """Return ``[rows, n + 1]``: the sum of the first k of each row."""
    sums = np.zeros((rows.shape[0], rows.shape[1] + 1))
    np.cumsum(rows, axis=1, out=sums[:, 1:])
    return sums


@lru_cache(maxsize=1024)
def _places(n: int) -> _Places:
    split = np.arange(_MIN_LEVEL, n - _MIN_LEVEL + 1)
    windows = [(np.zeros_like(split), split, np.full_like(split, n))]
    for width in _WIDTHS:
        if 2 * width < n:
            split = np.arange(width, n - width + 1)
            windows.append((split - width, split, split + width))
    start, split, stop = (np.concatenate(parts) for parts in zip(*windows, strict=True))
    length = (stop - start).astype(np.float64)
    left, right = split - start, stop - split
    held = np.minimum(left, right)
    missing = np.log(_SHORT_LEVEL / held)
    penalty = np.where(length < n, _NEIGHBOURHOOD_PENALTY, _SHORT_PENALTY * np.maximum(missing, 0))
    scale = np.sqrt(left * right / length)
    return _Places(start, split, stop, length, left / length, scale, penalty)


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
    wander = 6 * sum(float(bridge @ bridge) / len(bridge) for bridge in bridges) / energy
    return max(inflated, wander / _WANDER_FREE)
