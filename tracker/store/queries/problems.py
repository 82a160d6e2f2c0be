"""What could not be read."""

from __future__ import annotations

from sqlalchemy import Connection, select

from tracker.domain import IngestProblemInfo
from tracker.store import tables as t
from tracker.store.queries.projects import find_project
from tracker.store.store import Store


def ingest_problems(store: Store, project: str) -> list[IngestProblemInfo]:
    """Return the problems that still hold, newest first."""
    with store.reading() as conn:
        return load_problems(conn, find_project(conn, project))


def load_problems(conn: Connection, project_id: int) -> list[IngestProblemInfo]:
    p = t.ingest_problem.c
    statement = (
        select(p.path, p.benchmark, p.reason, p.seen_at)
        .where(p.project_id == project_id)
        .order_by(p.seen_at.desc(), p.path, p.id)
    )
    return [IngestProblemInfo(*row) for row in conn.execute(statement)]
