"""Level shifts in a history, all at once or point by point."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from tracker.stats.noise import Floats
from tracker.stats.onset import onset
from tracker.stats.sustained import MIN_LEVEL, splits

__all__ = ["ALGORITHM", "ShiftDetector", "detect_change_points"]

ALGORITHM = "proposed-confirmed-levels-5"

# Levels that have been held for a while are looked for at every such point, not at each: looks
# that repeat themselves would add up their false alarms, and cost a scan each.
_LOOK_EVERY = 25
# When so many points are open, the older ones are settled: a later point changes nothing there.
_MAX_OPEN = 600
_UNSETTLED = 200  # the newest of them
_CONTEXT = 200  # settled points that stay open, so that no level is cut in two


def detect_change_points(values: Sequence[float]) -> list[int]:
    """Return the index of the first point of each new level, ascending.

    What `ShiftDetector` says once it has seen all the values.

    Args:
        values: The history, oldest first; at least 9 values to say anything.

    Raises:
        ValueError: A value is not finite (leave failed and skipped runs out), or `values` is not
            one-dimensional.
    """
    detector = ShiftDetector()
    detector.extend(values)
    return detector.change_points()


class ShiftDetector:
    """The level shifts of a history that grows; a new point does not scan the history again.

    Two tests, each for what it does best. Levels that both have been held for a while are found
    by `tracker.stats.sustained`, at every 25th point; a level that began within the newest 40 points
    by `tracker.stats.onset`, at every point. Once 600 points are open, all but the newest 200 are
    settled: the shifts found among them stay as they are, and only the newest 200 settled points are
    looked at again, beside later ones. So a point costs the same at any length.

    Whether points come one by one or all at once makes no difference to the answer.

    Assumptions:
        Noise stationary within a level, with short memory.

    Small samples:
        Fewer than 9 values give no change point.
    """

    def __init__(self) -> None:
        self._settled: list[int] = []  # shifts that no later point changes
        self._settled_until = 0
        self._start = 0  # index of the first open point
        self._open = np.empty(0)
        self._look: tuple[int, list[int]] = (0, [])  # points seen at the last look, its shifts

    def __len__(self) -> int:
        return self._start + len(self._open)

    def add(self, value: float) -> None:
        """Append one value; `extend` with one.

        Raises:
            ValueError: `value` is not finite.
        """
        self.extend([value])

    def extend(self, values: Iterable[float]) -> None:
        """Append values, oldest first.

        Raises:
            ValueError: A value is not finite, or they are not one-dimensional; none is added.
        """
        fresh = np.asarray(values, dtype=np.float64)
        if fresh.ndim != 1:
            raise ValueError(f"values must be one-dimensional, not of shape {fresh.shape}")
        if not np.isfinite(fresh).all():
            where = int(np.flatnonzero(~np.isfinite(fresh))[0])
            raise ValueError(f"value {where} is {fresh[where]}; leave missing results out")
        series = np.concatenate((self._open, fresh))
        while len(series) >= (seen := _MAX_OPEN + -(self._start + _MAX_OPEN) % _LOOK_EVERY):
            series = np.concatenate((self._settle(series[:seen]), series[seen:]))
        self._open = series

    def change_points(self) -> list[int]:
        """Return the index of the first point of each new level, ascending."""
        looked_at = len(self) - len(self) % _LOOK_EVERY
        if self._look[0] != looked_at:
            self._look = looked_at, self._unsettled(self._open[: max(looked_at - self._start, 0)])
        shifts = self._settled + self._look[1]
        level = max([self._start, *shifts[-1:]])
        begun = onset(_scaled(self._open[level - self._start :]))
        return shifts if begun is None else [*shifts, level + begun]

    def _unsettled(self, points: Floats) -> list[int]:
        """Return the shifts among the open `points` that are not settled."""
        first = max([self._settled_until, *(last + MIN_LEVEL for last in self._settled[-1:])])
        places = (self._start + index for index in splits(_scaled(points)))
        return [place for place in places if place >= first]

    def _settle(self, points: Floats) -> Floats:
        """Settle the shifts of the older open `points`; return the points that stay open."""
        until = self._start + len(points) - _UNSETTLED
        self._settled += [place for place in self._unsettled(points) if place < until]
        self._settled_until = until
        cut = len(points) - _UNSETTLED - _CONTEXT
        self._start += cut
        return points[cut:]


def _scaled(values: Floats) -> Floats:
    """Return `values` times a power of two that leaves room for sums and differences."""
    largest = np.abs(values).max(initial=0.0)
    return np.ldexp(values, -int(np.frexp(largest)[1]))
