"""The history of one series: a point a revision, its level shifts, where the machine changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields

from sqlalchemy import Connection, select

from tracker.domain import (
    Fingerprint,
    FingerprintChange,
    LevelShift,
    Point,
    RevisionInfo,
    SeriesHistory,
    SeriesInfo,
)
from tracker.store import tables as t
from tracker.store.queries.points import Attempt, latest, middle, status_of
from tracker.store.queries.revisions import (
    COLUMNS,
    in_commit_order,
    load_parents_between,
    revision_of,
)
from tracker.store.queries.series import load_series
from tracker.store.queries.shifts import select_shifts, shift_of
from tracker.store.store import Store


def history(store: Store, series_id: int, *, limit: int | None = None) -> SeriesHistory:
    """Return the history of a series, oldest revision first.

    A point's value is the median of the revision's ok attempts; its interval is that of the
    latest attempt, and given only where that attempt is the only one with a value (an interval
    of one attempt does not describe the median of several). Its status is "ok" where any
    attempt gave a value.

    Args:
        store: Where to look.
        series_id: As in `SeriesInfo.id`.
        limit: Only so many newest revisions; the shifts and fingerprint changes follow.

    Raises:
        UsageError: No such series.
    """
    with store.reading() as conn:
        series = load_series(conn, series_id)
        attempts, revisions, parents = _attempts(conn, series_id)
        ordered = in_commit_order(list(revisions.values()), parents)
        if limit is not None:
            ordered = ordered[max(0, len(ordered) - limit) :]
        points = tuple(_point(revision, attempts[revision.id]) for revision in ordered)
        place = {revision.id: position for position, revision in enumerate(ordered)}
        shifts = [shift for shift in _shifts(conn, series) if shift.revision.id in place]
        shifts.sort(key=lambda shift: place[shift.revision.id])
        prints = load_fingerprints(conn, {p.fingerprint_id for p in points} - {None})
    return SeriesHistory(series, points, tuple(shifts), fingerprint_changes(points, prints))


def _attempts(
    conn: Connection, series_id: int
) -> tuple[dict[int, list[Attempt]], dict[int, RevisionInfo], dict[str, Sequence[str]]]:
    r = t.result.c
    statement = (
        select(
            r.id.label("row_id"),
            r.status,
            r.value,
            r.ci_low,
            r.ci_high,
            r.started_at,
            t.run.c.fingerprint_id,
            t.revision.c.parents,
            t.revision.c.project_id,
            *COLUMNS,
        )
        .join(t.revision, t.revision.c.id == r.revision_id)
        .join(t.run, t.run.c.id == r.run_id)
        .where(r.series_id == series_id)
    )
    attempts: dict[int, list[Attempt]] = {}
    revisions: dict[int, RevisionInfo] = {}
    parents: dict[str, Sequence[str]] = {}
    project_id = -1
    for row in conn.execute(statement):
        project_id = row.project_id
        attempts.setdefault(row.id, []).append(
            Attempt(
                row.status,
                row.value,
                row.ci_low,
                row.ci_high,
                row.started_at,
                row.fingerprint_id,
                row.row_id,
            )
        )
        if row.id not in revisions:
            revisions[row.id] = revision_of(row)
            if row.parents:
                parents[row.commit_hash] = row.parents
    parents = load_parents_between(conn, project_id, list(revisions.values()), parents)
    return attempts, revisions, parents


def _point(revision: RevisionInfo, attempts: Sequence[Attempt]) -> Point:
    newest = latest(attempts)
    alone = sum(attempt.value is not None for attempt in attempts) == 1
    with_value = next((a for a in attempts if a.value is not None), None) if alone else None
    return Point(
        revision=revision,
        value=middle(attempts),
        status=status_of(attempts),
        ci_low=with_value.ci_low if with_value else None,
        ci_high=with_value.ci_high if with_value else None,
        num_attempts=len(attempts),
        measured_at=newest.started_at,
        fingerprint_id=newest.fingerprint_id,
    )


def _shifts(conn: Connection, series: SeriesInfo) -> list[LevelShift]:
    c = t.change_point.c
    statement = select_shifts().where(c.series_id == series.id, c.cause == "code")
    return [shift_of(row, series.better) for row in conn.execute(statement)]


_FIELDS = tuple(field.name for field in fields(Fingerprint) if field.name != "extra")


def load_fingerprints(conn: Connection, ids: set[int | None]) -> dict[int, dict[str, str]]:
    """Return what each fingerprint knows, as text by field; what it does not know is absent."""
    if not ids:
        return {}
    rows = conn.execute(
        select(t.fingerprint).where(t.fingerprint.c.id.in_(sorted(filter(None, ids))))
    )
    known: dict[int, dict[str, str]] = {}
    for row in rows.mappings():
        facts = {name: str(row[name]) for name in _FIELDS if row[name] is not None}
        facts |= {str(name): str(value) for name, value in row["extra"]}
        known[row["id"]] = facts
    return known


def fingerprint_changes(
    points: Sequence[Point], prints: Mapping[int, Mapping[str, str]]
) -> tuple[FingerprintChange, ...]:
    """Return where the environment of consecutive points differs. Pure.

    A field counts as changed only between two known values: where one launch did not know its
    driver, the driver has not changed. The last known value is carried over such gaps.
    """
    changes = []
    known: dict[str, str] = {}
    newest = None
    for point in points:
        if point.fingerprint_id in (None, newest):
            continue
        newest = point.fingerprint_id
        facts = prints[newest]
        changed = tuple(
            (name, known[name], value)
            for name, value in sorted(facts.items())
            if name in known and known[name] != value
        )
        if changed:
            changes.append(FingerprintChange(point.revision, changed))
        known |= facts
    return tuple(changes)
