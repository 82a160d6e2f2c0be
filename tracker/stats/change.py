"""A contrast in the terms of what was measured: head/base - 1, or a difference in the metric's unit."""

from __future__ import annotations

import math
import sys
from typing import NamedTuple

from tracker.stats.verdict import Difference

__all__ = ["Change", "change_by_difference", "change_by_ratio", "ratio_of"]

_LARGEST_LOG = math.log(sys.float_info.max)

Interval = tuple[float, float] | None


class Change(NamedTuple):
    """What `Verdict` says of a change; see there."""

    effect: float | None
    low: float | None
    high: float | None
    difference: Difference | None


def ratio_of(logarithm: float) -> float:
    """Return the ratio minus one; infinite where a float cannot hold it."""
    return math.expm1(logarithm) if logarithm < _LARGEST_LOG else math.inf


def change_by_ratio(center: float, ends: Interval) -> Change:
    """Return the change of log ratios ln(head/base) with this centre and interval."""
    low, high = (ratio_of(end) for end in sorted(ends)) if ends else (None, None)
    return Change(ratio_of(center), low, high, None)


def change_by_difference(center: float, ends: Interval, base: float) -> Change:
    """Return the change of differences head - base with this centre and interval.

    Args:
        base: The base's centre; a change has no ratio to it unless it is positive.
    """
    low, high = sorted(ends) if ends else (None, None)
    difference = Difference(center, low, high)
    if base > 0:
        unit = base
    elif center == 0 and not low and not high:
        unit = 1.0  # no change at all
    else:
        return Change(None, None, None, difference)
    effect, low, high = (None if value is None else value / unit for value in difference)
    return Change(effect, low, high, difference)
