"""Stored explanations."""

from __future__ import annotations

from sqlalchemy import select

from tracker.domain import ExplanationInfo
from tracker.store import tables as t
from tracker.store.queries.projects import find_project
from tracker.store.store import Store


def list_explanations(
    store: Store, project: str, *, head: str, base: str | None = None
) -> list[ExplanationInfo]:
    """Return the explanations of a commit, newest first.

    Args:
        store: Where to look.
        project: Its name.
        head: Full hash of the commit that is explained.
        base: Only those against this commit, by its full hash.
    """
    e = t.explanation.c
    with store.reading() as conn:
        statement = select(e.base_hash, e.head_hash, e.machine, e.created_at, e.document).where(
            e.project_id == find_project(conn, project), e.head_hash == head
        )
        if base is not None:
            statement = statement.where(e.base_hash == base)
        statement = statement.order_by(e.created_at.desc(), e.id.desc())
        return [ExplanationInfo(*row) for row in conn.execute(statement)]
