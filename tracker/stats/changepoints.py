"""Level shifts in a history, all at once or point by point."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from tracker.stats.noise import Floats
from tracker.stats.onset import onset
from tracker.stats.sustained import splits

__all__ = ["ALGORITHM", "ShiftDetector", "detect_change_points"]

ALGORITHM = "rank-splits-onset-3"

# Levels that have been held for a while are looked for at every such point, not at each: looks
# that repeat themselves would add up their false alarms, and cost a scan each.
_LOOK_EVERY = 25
# When so many points are open, the older ones are closed: a later point changes nothing there.
_MAX_OPEN = 600
_OPEN_AFTER = 200
_CONTEXT = 100  # kept before the oldest shift that may still move


def detect_change_points(values: Sequence[float]) -> list[int]:
    """Return the index of the first point of each new level, ascending.

    What `ShiftDetector` says once it has seen all the values.

    Args:
        values: The history, oldest first; at least 7 values to say anything.

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
    closed with the shifts found among them; so a point costs the same at any length.

    Whether points come one by one or all at once makes no difference to the answer.

    Assumptions:
        Noise stationary within a level, with short memory.

    Small samples:
        Fewer than 7 values give no change point.
    """

    def __init__(self) -> None:
        self._closed: list[int] = []
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
            series = np.concatenate((self._close(series[:seen]), series[seen:]))
        self._open = series

    def change_points(self) -> list[int]:
        """Return the index of the first point of each new level, ascending."""
        looked_at = len(self) - len(self) % _LOOK_EVERY
        if self._look[0] != looked_at:
            held = splits(_scaled(self._open[: max(looked_at - self._start, 0)]))
            self._look = looked_at, [self._start + index for index in held]
        found = self._closed + self._look[1]
        level = max([self._start, *found[-1:]])
        begun = onset(_scaled(self._open[level - self._start :]))
        return found if begun is None else [*found, level + begun]

    def _close(self, full: Floats) -> Floats:
        """Settle the shifts of the older points of `full`; return the points that stay open."""
        settled = [index for index in splits(_scaled(full)) if index <= len(full) - _OPEN_AFTER]
        self._closed += [self._start + index for index in settled]
        cut = max([len(full) - _OPEN_AFTER - _CONTEXT, *settled[-1:]])
        self._start += cut
        return full[cut:]


def _scaled(values: Floats) -> Floats:
    """Return `values` times a power of two that leaves room for sums and differences."""
    largest = np.abs(values).max(initial=0.0)
    return np.ldexp(values, -int(np.frexp(largest)[1]))
