"""How many more pairs a metric will probably need: shown while a gate runs, never used by a verdict."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tracker.stats.robust import center, spread

__all__ = ["pairs_left"]

# Standard errors between the centre and a bound at which the gate's tests usually decide.
_REACH = 3.3


def pairs_left(
    ratios: Sequence[float],
    *,
    margin: float,
    detect: float,
    looks: Sequence[int],
) -> int | None:
    """Return after how many further pairs a noisy metric is probably decided.

    It is decided when its centre is far enough, at the spread seen, from `detect` to pass or from
    `margin` to be a regression. That is at a scheduled look, and at the last one at the latest.

    Args:
        ratios: Contrasts of the pairs so far (`PairedGate.log_ratios`), positive is worse.
        margin: Slowdown that does not matter yet, a ratio.
        detect: Slowdown that a pass excludes, a ratio.
        looks: Numbers of pairs at which the gate decides, ascending; the last is the most.

    Returns:
        At least 0; None with fewer than two pairs, whose spread says nothing.
    """
    done = len(ratios)
    if done < 2:
        return None
    values = np.asarray(ratios)
    middle = center(values)
    room = max(math.log1p(detect) - middle, middle - math.log1p(margin))
    needed = (_REACH * spread(values) / room) ** 2
    return next((n - done for n in looks if n > done and n >= needed), max(looks[-1] - done, 0))
