"""Level shifts of one history: what counts as one history, and what its levels are. Pure.

A history is cut where the fingerprint changes, so that a new driver or a new torch starts a new
segment and is never called a regression; the benchmark's version is part of the series already.
Failed and skipped results are left out and counted, never filled in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from tracker.causes import cause_of
from tracker.domain import Better, LevelShift, Point, RevisionInfo, SeriesHistory, SeriesInfo
from tracker.findings import Change
from tracker.stats import ALGORITHM, detect_change_points

__all__ = ["EXACT_ALGORITHM", "SeriesShifts", "exact_steps", "find_shifts", "stored_changes"]

EXACT_ALGORITHM = "exact-step-1"

_MOVE_POINTS = 40  # on either side of a change of the environment
_MOVE_SLACK = 1

Detector = Callable[[Sequence[float]], Iterable[int]]


@dataclass(frozen=True, slots=True)
class SeriesShifts:
    """What one history says.

    Attributes:
        num_points: Revisions with a finite value, all segments together.
        num_missing: Revisions that failed, were skipped or hold no finite value: left out.
        num_segments: Stretches of the history measured in one environment.
        moves: Levels that changed where the environment did, with its cause: no regressions.
    """

    series: SeriesInfo
    changes: tuple[Change, ...]
    num_points: int
    num_missing: int
    num_segments: int
    algorithm: str
    moves: tuple[Change, ...] = ()

    @property
    def shifts(self) -> tuple[LevelShift, ...]:
        return tuple(change.shift for change in self.changes)


def exact_steps(values: Sequence[float], step: float) -> list[int]:
    """Index of the first point of each new level of a metric without noise.

    A level is left by the first value more than `step` (its unit) away from the value the level
    began with, so that many changes below `step` are seen once they add up to more than it.
    """
    found: list[int] = []
    level = 0
    for index, value in enumerate(values):
        if abs(value - values[level]) > step:
            found.append(index)
            level = index
    return found


def find_shifts(history: SeriesHistory, *, detect: Detector | None = None) -> SeriesShifts:
    """Find the level shifts of one history; pure.

    Args:
        history: Points oldest first.
        detect: Values of one segment to the index of the first point of each new level; else the
            exact rule for metrics of kind "exact" and `detect_change_points` for all others.
    """
    series = history.series
    algorithm = ALGORITHM
    if detect is None:
        detect = detect_change_points
        if series.kind == "exact":
            algorithm = EXACT_ALGORITHM

            def detect(values: Sequence[float]) -> list[int]:
                return exact_steps(values, series.step)

    segments = _segments(history)
    num_points = sum(len(segment) for segment in segments)
    changes: list[Change] = []
    for segment in segments:
        changes += _segment_changes(series, segment, detect, algorithm)
    return SeriesShifts(
        series=series,
        changes=tuple(changes),
        num_points=num_points,
        num_missing=len(history.points) - num_points,
        num_segments=len(segments),
        algorithm=algorithm,
        moves=tuple(_moves(history, segments, detect, algorithm)),
    )


def stored_changes(history: SeriesHistory) -> list[Change]:
    """The shifts that the store holds for a history, as `find_shifts` gave them."""
    segments = _segments(history)
    place = {
        point.revision.commit: (number, position)
        for number, segment in enumerate(segments)
        for position, point in enumerate(segment)
    }
    # A shift whose own results were pruned has no place; it then stands alone.
    number_of = {commit: number for commit, (number, _) in place.items()}
    newest = {number_of.get(shift.revision.commit): shift.after for shift in history.shifts}
    found = []
    for shift in history.shifts:
        number, position = place.get(shift.revision.commit, (None, 0))
        previous = (
            segments[number][position - 1].revision if number is not None and position else None
        )
        recovered = _recovered(shift.before, shift.after, newest[number])
        found.append(Change(history.series, shift, recovered=recovered, previous=previous))
    return found


def _value(point: Point) -> float | None:
    if point.status != "ok" or point.value is None or not math.isfinite(point.value):
        return None
    return point.value


def _segments(history: SeriesHistory) -> list[list[Point]]:
    """Points with a value, cut at each revision where something known of the environment changed.

    What was unknown and becomes known is no change: a launch that did not say its driver would
    otherwise end a segment, and two in turn would leave no segment long enough to see anything.
    """
    starts = {change.revision.commit for change in history.fingerprint_changes}
    segments: list[list[Point]] = [[]]
    for point in history.points:
        if point.revision.commit in starts:
            segments.append([])
        if _value(point) is not None:
            segments[-1].append(point)
    return [segment for segment in segments if segment]


def _recovered(before: float, after: float, newest: float) -> bool:
    return abs(newest - before) < abs(newest - after)


def _moves(
    history: SeriesHistory, segments: Sequence[Sequence[Point]], detect: Detector, algorithm: str
) -> Iterator[Change]:
    """The levels that changed between two segments, by what the environment changed there."""
    position = {point.revision.commit: number for number, point in enumerate(history.points)}
    for before, after in pairwise(segments):
        old = [value for point in before[-_MOVE_POINTS:] if (value := _value(point)) is not None]
        new = [value for point in after[:_MOVE_POINTS] if (value := _value(point)) is not None]
        starts = list(detect([*old, *new]))
        if not any(abs(start - len(old)) <= _MOVE_SLACK for start in starts):
            continue
        edges = [0, *starts, len(old) + len(new)]
        level_start = max(edge for edge in edges if edge < len(old) - _MOVE_SLACK)
        level_stop = min(edge for edge in edges if edge > len(old) + _MOVE_SLACK) - len(old)
        old, new = old[level_start:], new[:level_stop]
        last, first = before[-1].revision, after[0].revision
        changed = {
            name
            for change in history.fingerprint_changes
            if position[last.commit] < position[change.revision.commit] <= position[first.commit]
            for name, _, _ in change.changed
        }
        yield Change(
            series=history.series,
            shift=_shift(history.series, first, median(old), median(new), algorithm),
            previous=last,
            cause=cause_of(changed),
        )


def _segment_changes(
    series: SeriesInfo, segment: Sequence[Point], detect: Detector, algorithm: str
) -> list[Change]:
    values = [value for point in segment if (value := _value(point)) is not None]
    starts = list(detect(values))
    if not starts:
        return []
    levels = [median(values[a:b]) for a, b in pairwise([0, *starts, len(values)])]
    return [
        Change(
            series=series,
            shift=_shift(series, segment[start].revision, before, after, algorithm),
            recovered=_recovered(before, after, levels[-1]),
            previous=segment[start - 1].revision,
        )
        for start, (before, after) in zip(starts, pairwise(levels), strict=True)
    ]


def _shift(
    series: SeriesInfo, revision: RevisionInfo, before: float, after: float, algorithm: str
) -> LevelShift:
    return LevelShift(
        series_id=series.id,
        revision=revision,
        before=before,
        after=after,
        effect=_effect(before, after),
        worse=_worse(series.better, before, after),
        algorithm=algorithm,
    )


def _effect(before: float, after: float) -> float:
    if before == 0:
        return math.copysign(math.inf, after)
    return (after - before) / abs(before)


def _worse(better: Better | None, before: float, after: float) -> bool | None:
    # Two levels can share a median (bimodal noise); then neither is called worse.
    if better is None or after == before:
        return None
    return (after > before) == (better == "lower")
