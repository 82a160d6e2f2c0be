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

__all__ = ["family_maxima", "flip_signs", "num_flips", "scores"]

Floats = NDArray[np.float64]

# Up to here every flip is enumerated; beyond, as many are drawn.
_MAX_ENUMERATED_PAIRS = 13
# A score's limit, in scales: an outlier counts for little more than a pair at the median. Wider
# limits let a few loud metrics of the family outbid a quiet one that regressed.
_CLIP = 1.25


def num_flips(num_pairs: int) -> int:
    """Return how many flips `flip_signs` returns; the smallest p-value is one over it."""
    return int(2 ** min(num_pairs, _MAX_ENUMERATED_PAIRS))


@lru_cache(maxsize=32)
def flip_signs(num_pairs: int, seed: int) -> Floats:
    """Return sign vectors, ``[flips, num_pairs]``, read-only, the identity in row 0.

    All ``2**num_pairs`` of them up to 13 pairs; beyond, the identity and 8,191 random ones, which
    keeps the test exact (Hemerik & Goeman 2018, theorem 2).
    """
    flips = num_flips(num_pairs)
    if num_pairs <= _MAX_ENUMERATED_PAIRS:
        bits = (np.arange(flips)[:, None] >> np.arange(num_pairs)) & 1
        signs = 1 - 2 * bits.astype(np.float64)
    else:
        rng = np.random.default_rng([seed, num_pairs])
        signs = rng.choice([-1.0, 1.0], size=(flips, num_pairs))
        signs[0] = 1.0
    signs.setflags(write=False)
    return signs


def scores(differences: Floats, relevant: Floats) -> Floats:
    """Return each difference over its metric's scale, limited to 1.25, ``[pairs, metrics]``.

    The scale is what matters to the user, `relevant`, unless the metric is louder than that: then
    it is the (lower) median absolute difference. Neither changes when a pair's sign is flipped, so the
    scores of a flip are the flipped scores. A scale in the user's units, unlike the standard
    deviation, keeps a quiet metric well inside its margin from looking, flipped, like a strong
    regression.

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
    """Return the largest sum of scores over all metrics under each flip, identity first.

    Args:
        table: Scores, ``[pairs, metrics]``.
        seed: Of the random flips beyond 13 pairs.
    """
    return np.asarray((flip_signs(len(table), seed) @ table).max(axis=1))
