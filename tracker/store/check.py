"""Checks the store: the database's own checks, and rows that contradict each other."""

from __future__ import annotations

from sqlalchemy import Connection, func, select, text

from tracker.store import tables as t
from tracker.store.derived import series_counts
from tracker.store.store import Store

MAX_FINDINGS = 20  # of one kind


def check_store(store: Store) -> list[str]:
    """Return the faults of the store, one sentence each; empty if there are none.

    The schema's revision was checked when the store was opened.

    Raises:
        StoreError: The database failed while it was read.
    """
    with store.reading() as conn:
        findings = _database(conn)
        findings += _counters(conn)
        findings += _shifts(conn)
    return findings


def _database(conn: Connection) -> list[str]:
    if conn.dialect.name != "sqlite":
        return []  # PostgreSQL enforces its constraints at all times
    findings = []
    for (said,) in conn.execute(text("PRAGMA integrity_check")):
        if said != "ok":
            findings.append(f"damaged file: {said}")
    broken = conn.execute(text("PRAGMA foreign_key_check")).fetchmany(MAX_FINDINGS)
    findings += [f"{row[0]} row {row[1]} points at no row of {row[2]}" for row in broken]
    return findings


def _counters(conn: Connection) -> list[str]:
    s, r = t.series.c, t.revision.c
    counted = {row[0]: (row[1], row[2]) for row in conn.execute(series_counts())}
    findings = [
        f"series {row.id} says {row.num_results} results at {row.num_points} revisions, "
        f"holds {counted.get(row.id, (0, 0))[0]} at {counted.get(row.id, (0, 0))[1]}"
        for row in conn.execute(select(s.id, s.num_results, s.num_points).order_by(s.id))
        if (row.num_results, row.num_points) != counted.get(row.id, (0, 0))
    ]
    per_revision = select(t.result.c.revision_id, func.count()).group_by(t.result.c.revision_id)
    of_revision: dict[int, int] = {row[0]: row[1] for row in conn.execute(per_revision)}
    findings += [
        f"revision {row.commit_hash[:12]} says {row.num_results} results, "
        f"holds {of_revision.get(row.id, 0)}"
        for row in conn.execute(select(r.id, r.commit_hash, r.num_results).order_by(r.id))
        if row.num_results != of_revision.get(row.id, 0)
    ]
    return _mendable(findings)


def _shifts(conn: Connection) -> list[str]:
    c = t.change_point.c
    measured = select(t.result.c.id).where(
        t.result.c.series_id == c.series_id, t.result.c.revision_id == c.revision_id
    )
    nowhere = conn.execute(
        select(func.count()).select_from(t.change_point).where(~measured.exists())
    ).scalar_one()
    findings = []
    if nowhere:
        findings.append(
            f"{nowhere} level shifts at revisions their series was not measured at; "
            "find them anew with: tracker changepoints"
        )
    marked = select(c.series_id).where(c.is_latest).group_by(c.series_id)
    several = conn.execute(
        select(func.count()).select_from(marked.having(func.count() > 1).subquery())
    )
    without = conn.execute(
        select(func.count(c.series_id.distinct())).where(
            c.cause == "code", c.series_id.not_in(marked)
        )
    )
    wrong = several.scalar_one() + without.scalar_one()
    if wrong:
        findings += _mendable([f"{wrong} series without exactly one latest level shift"])
    return findings


def _mendable(findings: list[str]) -> list[str]:
    if not findings:
        return []
    shown = findings[:MAX_FINDINGS]
    if len(findings) > MAX_FINDINGS:
        shown.append(f"... and {len(findings) - MAX_FINDINGS} more such counters")
    shown.append("counters are derived: build them again with: tracker db check --rebuild")
    return shown
