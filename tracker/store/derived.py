"""Recomputes derived columns: counters, and the flag of the latest level shift.

The bases of earlier level-shift searches are deleted, so the next search covers every series.
"""

from __future__ import annotations

from statistics import median
from typing import Any

from sqlalchemy import Select, bindparam, delete, distinct, func, select, update

from tracker.store import tables as t
from tracker.store.transaction import Transaction


def rebuild(tx: Transaction) -> None:
    """Set every derived column from the rows it follows from."""
    _rebuild_series(tx)
    _rebuild_revisions(tx)
    _mark_latest_shifts(tx)
    tx.conn.execute(delete(t.detection))


def series_counts() -> Select[Any]:
    """Return the statement that counts results and revisions of every series anew."""
    r = t.result.c
    return (
        select(
            r.series_id,
            func.count().label("num_results"),
            func.count(distinct(r.revision_id)).label("num_points"),
        )
        .group_by(r.series_id)
        .order_by(r.series_id)
    )


def _rebuild_series(tx: Transaction) -> None:
    r, s = t.result.c, t.series.c
    zeros = {"num_results": 0, "num_points": 0, "last_value": None}
    zeros |= {"last_committed_at": None, "last_measured_at": None}
    tx.conn.execute(update(t.series).values(**zeros))
    rows = [
        {"row_id": series_id, "results": results, "points": points}
        for series_id, results, points in tx.conn.execute(series_counts())
    ]
    if not rows:
        return
    newest = (
        select(func.max(t.revision.c.committed_at))
        .select_from(t.result)
        .join(t.revision, t.revision.c.id == r.revision_id)
        .where(r.series_id == s.id)
        .scalar_subquery()
    )
    measured = select(func.max(r.started_at)).where(r.series_id == s.id).scalar_subquery()
    tx.conn.execute(
        update(t.series)
        .where(s.id == bindparam("row_id"))
        .values(num_results=bindparam("results"), num_points=bindparam("points")),
        rows,
    )
    tx.conn.execute(update(t.series).values(last_committed_at=newest, last_measured_at=measured))
    _set_last_values(tx)


def _set_last_values(tx: Transaction) -> None:
    r, s = t.result.c, t.series.c
    statement = (
        select(r.series_id, r.value)
        .join(t.series, s.id == r.series_id)
        .join(t.revision, t.revision.c.id == r.revision_id)
        .where(t.revision.c.committed_at == s.last_committed_at, r.value.is_not(None))
    )
    values: dict[int, list[float]] = {}
    for series_id, value in tx.conn.execute(statement):
        values.setdefault(series_id, []).append(value)
    if values:
        tx.conn.execute(
            update(t.series)
            .where(s.id == bindparam("row_id"))
            .values(last_value=bindparam("last")),
            [{"row_id": key, "last": median(attempts)} for key, attempts in sorted(values.items())],
        )


def _rebuild_revisions(tx: Transaction) -> None:
    count = (
        select(func.count())
        .where(t.result.c.revision_id == t.revision.c.id)
        .correlate(t.revision)
        .scalar_subquery()
    )
    tx.conn.execute(update(t.revision).values(num_results=count))


def _mark_latest_shifts(tx: Transaction) -> None:
    c = t.change_point.c
    statement = (
        select(c.id, c.series_id)
        .join(t.revision, t.revision.c.id == c.revision_id)
        .where(c.cause == "code")
        .order_by(c.series_id, t.revision.c.committed_at, t.revision.c.id)
    )
    newest = {series_id: row_id for row_id, series_id in tx.conn.execute(statement)}
    tx.conn.execute(update(t.change_point).values(is_latest=False))
    if newest:
        tx.conn.execute(
            update(t.change_point).where(c.id == bindparam("row_id")).values(is_latest=True),
            [{"row_id": row_id} for row_id in sorted(newest.values())],
        )
