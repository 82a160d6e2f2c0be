"""Joint sign flips: the reference distribution of paired differences under "no difference".

If base and head are exchangeable within a pair, the vector of a pair's log ratios is as likely as
its negative, whatever its shape and however the metrics depend on each other. Flipping the sign
of whole pairs therefore gives the exact joint null distribution of every statistic of all metrics,
and the maximum over metrics gives family-wise p-values without a Bonferroni price
(Westfall & Young 1993, section 2).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["flip_signs", "self_normalized", "smallest_p"]

Floats = NDArray[np.float64]

# Up to here every flip is enumerated; beyond, this many are drawn.
_MAX_ENUMERATED_PAIRS = 12
_NUM_DRAWN = 8191


def flip_signs(num_pairs: int, rng: np.random.Generator) -> Floats:
    """Return sign vectors, ``[flips, num_pairs]``, the identity in row 0.

    All ``2**num_pairs`` of them up to 12 pairs; beyond, the identity and 8,191 random ones, which
    keeps the test exact (Hemerik & Goeman 2018, theorem 2).
    """
    if num_pairs <= _MAX_ENUMERATED_PAIRS:
        bits = (np.arange(2**num_pairs)[:, None] >> np.arange(num_pairs)) & 1
        return (1 - 2 * bits).astype(np.float64)
    drawn = rng.choice([-1.0, 1.0], size=(_NUM_DRAWN, num_pairs))
    return np.vstack([np.ones(num_pairs), drawn])


def smallest_p(num_pairs: int) -> float:
    """Return the smallest p-value `num_pairs` pairs can reach."""
    return 1.0 / min(2.0**num_pairs, _NUM_DRAWN + 1.0)


def self_normalized(differences: Floats, signs: Floats) -> Floats:
    """Return ``sum(y) / sqrt(sum(y**2))`` of each metric under each flip, ``[flips, metrics]``.

    The denominator does not change under a flip, so one matrix product serves every flip. The
    value lies in ``[-sqrt(n), sqrt(n)]`` and increases with a shift of the differences, which makes
    a test at the margin conservative for anything below it.

    Args:
        differences: ``[pairs, metrics]``; a missing pair is 0 and counts for nothing.
        signs: ``[flips, pairs]``.
    """
    scale = np.sqrt(np.sum(differences**2, axis=0))
    scale = np.where(scale > 0, scale, 1.0)
    flipped: Floats = signs @ (differences / scale)
    return flipped
