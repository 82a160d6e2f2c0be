"""Joint sign flips: the reference distribution of paired differences under "no difference".

If base and head are exchangeable within a pair, the vector of a pair's log ratios is as likely as
its negative, whatever its shape and however the metrics depend on each other. Flipping the sign
of whole pairs therefore gives the exact joint null distribution of every statistic of all metrics,
and the maximum over metrics gives family-wise p-values without a Bonferroni price
(Westfall & Young 1993, section 2).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["family_maxima", "flip_sums", "num_flips", "scores"]

Floats = NDArray[np.float64]

# Flips of so many pairs are enumerated; those of later pairs are drawn.
_MAX_ENUMERATED_PAIRS = 13
# Limit of a score, in scales: an outlier counts for little more than a pair at the median. With
# wider limits a few noisy metrics of the family hide a quiet one that regressed.
_CLIP = 1.25


def num_flips(num_pairs: int) -> int:
    """Return how many flips of so many pairs are compared; the smallest p-value is one over it."""
    return int(2 ** min(num_pairs, _MAX_ENUMERATED_PAIRS))


def scores(differences: Floats, relevant: Floats) -> Floats:
    """Return each difference over its metric's scale, limited to 1.25, ``[pairs, metrics]``.

    The scale is the slowdown that matters to the user, `relevant`, unless the metric is noisier than
    that: then it is the (lower) median absolute difference. Neither changes when a pair's sign is
    flipped, so the scores of a flip are the flipped scores. With a standard deviation as the scale,
    a quiet metric well inside its margin would look like a strong regression when it is flipped.

    Args:
        differences: ``[pairs, metrics]``; NaN where missing, which scores 0.
        relevant: The slowdown to find, less the margin, by metric, > 0, ``[metrics]``.
    """
    sizes = np.sort(np.abs(differences), axis=0)  # NaN goes last
    middle = np.maximum(np.sum(~np.isnan(sizes), axis=0) - 1, 0) // 2
    typical = np.take_along_axis(sizes, middle[None, :], axis=0)[0]
    limited = np.clip(differences / np.maximum(relevant, typical), -_CLIP, _CLIP)
    filled: Floats = np.nan_to_num(limited)
    return filled


def family_maxima(table: Floats, seed: int) -> Floats:
    """Return the largest sum of scores over all metrics under each flip, the identity first.

    Args:
        table: Scores, ``[pairs, metrics]``, at least one of each.
        seed: Of the random flips.
    """
    highest: Floats = flip_sums(table, seed).max(axis=0)
    return highest


def flip_sums(table: Floats, seed: int) -> Floats:
    """Return the sum of scores of each metric under each flip, the identity first.

    Every flip of the first 13 pairs, each combined with one random flip of the later pairs; the
    identity is combined with the identity. The observed arrangement is then exchangeable with all
    others of the set, which keeps the test exact (Hemerik & Goeman 2018, theorem 2).

    Args:
        table: Scores, ``[pairs, metrics]``, at least one pair.
        seed: Of the random flips.

    Returns:
        ``[metrics, flips]``.
    """
    first, later = table[:_MAX_ENUMERATED_PAIRS], table[_MAX_ENUMERATED_PAIRS:]
    sums = np.zeros((table.shape[1], 1))
    for pair in first[:, :, None]:
        sums = np.concatenate([sums + pair, sums - pair], axis=1)
    if len(later):
        sums += later.T @ _drawn_signs(len(later), seed)
    return sums


@lru_cache(maxsize=16)
def _drawn_signs(num_pairs: int, seed: int) -> Floats:
    """Return random signs, ``[num_pairs, flips]``, all 1 in the first flip."""
    shape = (num_pairs, num_flips(_MAX_ENUMERATED_PAIRS))
    drawn = np.random.default_rng([seed, num_pairs]).integers(2, size=shape, dtype=np.int8)
    drawn[:, 0] = 0
    return 1 - 2 * drawn.astype(np.float64)
