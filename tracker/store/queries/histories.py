"""The histories of many series: the revisions are put in order once, results read in blocks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection, select

from tracker.domain import LevelShift, Point, RevisionInfo, SeriesHistory, SeriesInfo
from tracker.store import tables as t
from tracker.store.identity import moment
from tracker.store.queries.history import fingerprint_changes, load_fingerprints
from tracker.store.queries.points import Attempt, latest, middle, status_of
from tracker.store.queries.projects import find_project
from tracker.store.queries.revisions import load_order
from tracker.store.queries.shifts import select_shifts, shift_of
from tracker.store.store import Store

_BLOCK = 50  # series read at a time


def histories(store: Store, series: Iterable[SeriesInfo]) -> Iterator[SeriesHistory]:
    """Yield the history of each series in the order given, as `history` does, for less.

    The points carry neither interval nor time of measurement. Commits that do not follow from each
    other may come in another order than `history` gives, if their times are equal.

    Args:
        store: Where to look; it may be written to between two histories.
        series: Best with the series of one project beside each other.

    Raises:
        UsageError: The project of a series is gone.
    """
    for project, members in groupby(series, key=attrgetter("project")):
        with store.reading() as conn:
            project_id = find_project(conn, project)
            ordered = load_order(conn, project_id)
            runs = select(t.run.c.id, t.run.c.fingerprint_id).where(
                t.run.c.project_id == project_id
            )
            fingerprints: dict[int, int | None] = {row[0]: row[1] for row in conn.execute(runs)}
        listed = list(members)
        for start in range(0, len(listed), _BLOCK):
            with store.reading() as conn:
                block = _read(conn, listed[start : start + _BLOCK], ordered, fingerprints)
            yield from block


def _read(
    conn: Connection,
    block: Sequence[SeriesInfo],
    ordered: Sequence[RevisionInfo],
    fingerprints: Mapping[int, int | None],
) -> list[SeriesHistory]:
    place = {revision.id: position for position, revision in enumerate(ordered)}
    points = {
        series_id: tuple(
            _point(ordered[position], rows[position], fingerprints) for position in sorted(rows)
        )
        for series_id, rows in _results(conn, block, place, fingerprints).items()
    }
    shifts = _shifts(conn, block, place)
    used = {point.fingerprint_id for listed in points.values() for point in listed} - {None}
    prints = load_fingerprints(conn, used)
    return [
        SeriesHistory(
            series,
            points[series.id],
            tuple(shifts[series.id]),
            fingerprint_changes(points[series.id], prints),
        )
        for series in block
    ]


def _results(
    conn: Connection,
    block: Sequence[SeriesInfo],
    place: Mapping[int, int],
    runs: Container[int],
) -> dict[int, dict[int, list[Any]]]:
    """Return rows of results by series, then by the place of their revision."""
    r, ids = t.result.c, [series.id for series in block]
    statement = (
        select(r.series_id, r.revision_id, r.status, r.value, r.run_id, r.attempt_key, r.id)
        .where(r.series_id.in_(ids))
        .order_by(r.series_id, r.revision_id, r.attempt_key)
    )
    rows_at: dict[int, dict[int, list[Any]]] = {series_id: {} for series_id in ids}
    for row in conn.execute(statement).all():
        position = place.get(row[1])
        if position is not None and row[4] in runs:  # else recorded after the revisions were read
            rows_at[row[0]].setdefault(position, []).append(row)
    return rows_at


def _point(
    revision: RevisionInfo, rows: Sequence[Any], fingerprints: Mapping[int, int | None]
) -> Point:
    if len(rows) == 1:  # nearly always, and then there is nothing to reduce
        ((_, _, status, value, run_id, _, _),) = rows
        return Point(revision, value, status, None, None, 1, None, fingerprints[run_id])
    attempts = [
        Attempt(status, value, None, None, moment(key), fingerprints[run_id], row_id)
        for _, _, status, value, run_id, key, row_id in rows
    ]
    return Point(
        revision=revision,
        value=middle(attempts),
        status=status_of(attempts),
        ci_low=None,
        ci_high=None,
        num_attempts=len(attempts),
        measured_at=None,
        fingerprint_id=latest(attempts).fingerprint_id,
    )


def _shifts(
    conn: Connection, block: Sequence[SeriesInfo], place: Mapping[int, int]
) -> dict[int, list[LevelShift]]:
    c = t.change_point.c
    better = {series.id: series.better for series in block}
    statement = select_shifts().where(c.series_id.in_(list(better)), c.cause == "code")
    shifts: dict[int, list[LevelShift]] = defaultdict(list)
    for row in conn.execute(statement):
        shifts[row.series_id].append(shift_of(row, better[row.series_id]))
    for listed in shifts.values():
        listed.sort(key=lambda shift: place[shift.revision.id])
    return shifts
