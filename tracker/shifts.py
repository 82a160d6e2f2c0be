"""Level shifts of one history: what counts as one history, and what its levels are. Pure.

A history is cut where the fingerprint changes, so that a new driver or a new torch starts a new
segment and is never called a regression; the benchmark's version is part of the series already.
Failed and skipped results are left out and counted, never filled in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median

from tracker.causes import cause_of
from tracker.domain import LevelShift, Point, RevisionInfo, SeriesHistory, SeriesInfo
from tracker.findings import Change
from tracker.metrics import is_worse
from tracker.stats import ALGORITHM, DRIFT_ALGORITHM, detect_change_points, find_drift

__all__ = [
    "EXACT_ALGORITHM",
    "RULES",
    "SeriesShifts",
    "algorithm_of",
    "exact_steps",
    "find_shifts",
]

EXACT_ALGORITHM = "exact-step-1"
RULES = 3  # raise it when the rules of this file for segments, moves or levels change

_MOVE_POINTS = 40  # on either side of a change of the environment
_MOVE_SLACK = 1
_GPUS = "gpus"  # field of a fingerprint: the UUIDs

Detector = Callable[[Sequence[float]], Iterable[int]]


@dataclass(frozen=True, slots=True)
class SeriesShifts:
    """What one history says.

    Attributes:
        shifts: Oldest first; with those that came with the environment.
        num_points: Revisions with a finite value, all segments together.
        num_missing: Revisions that failed, were skipped or hold no finite value: left out.
        num_segments: Stretches of the history measured in one environment.
    """

    series: SeriesInfo
    shifts: tuple[LevelShift, ...]
    num_points: int
    num_missing: int
    num_segments: int

    @property
    def changes(self) -> tuple[Change, ...]:
        """The shifts that the code brought."""
        return tuple(Change(self.series, shift) for shift in self.shifts if shift.cause == "code")

    @property
    def moves(self) -> tuple[Change, ...]:
        """The levels that changed where the environment did, with its cause: no regressions."""
        return tuple(Change(self.series, shift) for shift in self.shifts if shift.cause != "code")


def algorithm_of(series: SeriesInfo) -> str:
    """What finds the level shifts of a series: the exact rule for metrics without noise."""
    return EXACT_ALGORITHM if series.kind == "exact" else ALGORITHM


def exact_steps(values: Sequence[float], step: float) -> list[int]:
    """Index of the first point of each new level of a metric without noise.

    A level is left by the first value more than `step` (its unit) away from the value the level
    began with, so that many changes below `step` are seen once they add up to more than it.
    """
    starts: list[int] = []
    level = 0
    for index, value in enumerate(values):
        if abs(value - values[level]) > step:
            starts.append(index)
            level = index
    return starts


def find_shifts(history: SeriesHistory, *, detect: Detector | None = None) -> SeriesShifts:
    """Find the level shifts of one history; pure.

    Args:
        history: Points oldest first.
        detect: Values of one segment to the index of the first point of each new level; else the
            exact rule for metrics of kind "exact" and `detect_change_points` for all others.
    """
    series = history.series
    if detect is None:
        detect = detect_change_points
        if series.kind == "exact":

            def detect(values: Sequence[float]) -> list[int]:
                return exact_steps(values, series.step)

    segments = _segments(history)
    num_points = sum(len(segment) for segment in segments)
    shifts = list(_moves(history, segments, detect))
    gpus = _gpus_at(history)
    for segment in segments:
        shifts += _segment_shifts(series, segment, detect, gpus)
    if segments and series.kind != "exact":
        shifts += _drifts(series, segments[-1], shifts)
    place = {point.revision.commit: number for number, point in enumerate(history.points)}
    return SeriesShifts(
        series=series,
        shifts=tuple(sorted(shifts, key=lambda shift: place[shift.revision.commit])),
        num_points=num_points,
        num_missing=len(history.points) - num_points,
        num_segments=len(segments),
    )


def _value(point: Point) -> float | None:
    if point.status != "ok" or point.value is None or not math.isfinite(point.value):
        return None
    return point.value


def _segments(history: SeriesHistory) -> list[list[Point]]:
    """Points with a value, cut at each revision where something known of the environment changed.

    What was unknown and becomes known is no change: a launch that did not say its driver would
    otherwise end a segment, and two in turn would leave no segment long enough to see anything. Nor
    does another GPU of the same model end one: jobs of a host with several take turns on them.
    """
    starts = {
        change.revision.commit
        for change in history.fingerprint_changes
        if {name for name, _, _ in change.changed} != {_GPUS}
    }
    segments: list[list[Point]] = [[]]
    for point in history.points:
        if point.revision.commit in starts:
            segments.append([])
        if _value(point) is not None:
            segments[-1].append(point)
    return [segment for segment in segments if segment]


def _gpus_at(history: SeriesHistory) -> Mapping[str, str]:
    """Return the GPUs that each revision ran on, as far as they are known; empty where they never changed."""
    changes = {
        change.revision.commit: (was, now)
        for change in history.fingerprint_changes
        for name, was, now in change.changed
        if name == _GPUS and was is not None and now is not None
    }
    if not changes:
        return {}
    current = next(iter(changes.values()))[0]
    gpus: dict[str, str] = {}
    for point in history.points:
        commit = point.revision.commit
        current = changes[commit][1] if commit in changes else current
        gpus[commit] = current
    return gpus


def _moves(
    history: SeriesHistory, segments: Sequence[Sequence[Point]], detect: Detector
) -> Iterator[LevelShift]:
    """The levels that changed between two segments, by what the environment changed there."""
    position = {point.revision.commit: number for number, point in enumerate(history.points)}
    for before, after in pairwise(segments):
        old = [value for point in before[-_MOVE_POINTS:] if (value := _value(point)) is not None]
        new = [value for point in after[:_MOVE_POINTS] if (value := _value(point)) is not None]
        values = [*old, *new]
        starts = list(detect(values))
        if not any(abs(start - len(old)) <= _MOVE_SLACK for start in starts):
            continue
        level_start = max((at for at in starts if at < len(old) - _MOVE_SLACK), default=0)
        level_stop = min((at for at in starts if at > len(old) + _MOVE_SLACK), default=len(values))
        old, new = old[level_start:], new[: level_stop - len(old)]
        last, first = before[-1].revision, after[0].revision
        changed = {
            name
            for change in history.fingerprint_changes
            if position[last.commit] < position[change.revision.commit] <= position[first.commit]
            for name, _, _ in change.changed
        }
        shift = _shift(history.series, last, first, median(old), median(new))
        yield replace(shift, cause=cause_of(changed))


def _segment_shifts(
    series: SeriesInfo, segment: Sequence[Point], detect: Detector, gpus: Mapping[str, str]
) -> Iterator[LevelShift]:
    """The levels that changed within a segment: the code's, unless no GPU ran on both sides."""
    values = [value for point in segment if (value := _value(point)) is not None]
    starts = list(detect(values))
    spans = list(pairwise([0, *starts, len(values)]))
    levels = [median(values[a:b]) for a, b in spans]
    used = [{gpus.get(point.revision.commit) for point in segment[a:b]} for a, b in spans]
    for place, start in enumerate(starts):
        before, after = levels[place : place + 2]
        last, first = segment[start - 1].revision, segment[start].revision
        of_gpu = series.kind != "exact" and not used[place] & used[place + 1]
        yield replace(
            _shift(series, last, first, before, after),
            recovered=abs(levels[-1] - before) < abs(levels[-1] - after),
            cause="node" if of_gpu else "code",
        )


def _drifts(
    series: SeriesInfo, segment: Sequence[Point], shifts: Sequence[LevelShift]
) -> Iterator[LevelShift]:
    """The drift of the newest level of the newest segment: at the first commit after its start."""
    place = {point.revision.commit: at for at, point in enumerate(segment)}
    starts = [place[shift.revision.commit] for shift in shifts if shift.revision.commit in place]
    values = [value for point in segment if (value := _value(point)) is not None]
    drift = find_drift(values, sorted(starts))
    if drift is not None:
        # The start itself may carry a level shift: the drift is that of the commits after it.
        last, first = segment[drift.start].revision, segment[drift.start + 1].revision
        shift = _shift(series, last, first, drift.before, drift.after)
        commits = len(values) - 1 - drift.start
        yield replace(shift, algorithm=DRIFT_ALGORITHM, drift_commits=commits)


def _shift(
    series: SeriesInfo, last: RevisionInfo, first: RevisionInfo, before: float, after: float
) -> LevelShift:
    return LevelShift(
        series_id=series.id,
        revision=first,
        before=before,
        after=after,
        effect=_effect(before, after),
        worse=is_worse(series.better, before, after),  # shared median: bimodal noise, neither
        algorithm=algorithm_of(series),
        previous=last,
    )


def _effect(before: float, after: float) -> float:
    if before == 0:
        return math.copysign(math.inf, after)
    return (after - before) / abs(before)
