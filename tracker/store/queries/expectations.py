"""Stored intended changes."""

from __future__ import annotations

from sqlalchemy import select

from tracker.domain import Expectation
from tracker.store import tables as t
from tracker.store.queries.projects import find_project
from tracker.store.store import Store


def list_expectations(store: Store, project: str) -> list[Expectation]:
    """Return every expectation of a project, expired ones included, oldest first."""
    e = t.expectation.c
    with store.reading() as conn:
        statement = (
            select(e.metric, e.change, e.because, e.commit_hash, e.until)
            .where(e.project_id == find_project(conn, project))
            .order_by(e.created_at, e.id)
        )
        return [Expectation(*row) for row in conn.execute(statement)]
