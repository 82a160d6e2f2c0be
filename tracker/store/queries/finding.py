"""What the store knows of one commit that moved something."""

from __future__ import annotations

from sqlalchemy import select

from tracker.domain import LevelShift, RevisionInfo, SeriesInfo
from tracker.store import tables as t
from tracker.store.queries.projects import find_project
from tracker.store.queries.revisions import COLUMNS, find_revision, revision_of
from tracker.store.queries.series import select_series, series_of
from tracker.store.queries.shifts import shift_of, with_shifts
from tracker.store.store import Store


def shifts_at(store: Store, project: str, commit: str) -> list[tuple[SeriesInfo, LevelShift]]:
    """Return every stored level shift and drift that begins at a commit, whatever its cause.

    Raises:
        UsageError: No such project or commit.
    """
    with store.reading() as conn:
        project_id = find_project(conn, project)
        revision = find_revision(conn, project_id, commit)
        statement = with_shifts(select_series()).where(
            t.series.c.project_id == project_id, t.change_point.c.revision_id == revision.id
        )
        pairs = []
        for row in conn.execute(statement):
            series = series_of(row)
            pairs.append((series, shift_of(row, series.better)))
        return pairs


def commits_between(
    store: Store, project: str, before: str, commit: str, *, limit: int = 50
) -> list[RevisionInfo]:
    """Return stored commits after `before`, up to and with `commit`, newest first.

    Where the parents of `commit` are known, only its ancestors; else all of that time.

    Raises:
        UsageError: No such project or commit.
    """
    r = t.revision.c
    with store.reading() as conn:
        project_id = find_project(conn, project)
        first = find_revision(conn, project_id, before)
        last = find_revision(conn, project_id, commit)
        statement = (
            select(*COLUMNS, r.parents)
            .where(
                r.project_id == project_id,
                r.committed_at >= first.committed_at,
                r.committed_at <= last.committed_at,
                r.id != first.id,
            )
            .order_by(r.committed_at.desc(), r.id.desc())
            .limit(limit)
        )
        rows = {row.commit_hash: row for row in conn.execute(statement)}
    if last.commit in rows and rows[last.commit].parents:
        ancestors, waiting = set(), [last.commit]
        while waiting:
            name = waiting.pop()
            if name in rows and name not in ancestors:
                ancestors.add(name)
                waiting += rows[name].parents or ()
        rows = {name: row for name, row in rows.items() if name in ancestors}
    return [revision_of(row) for row in rows.values()]
