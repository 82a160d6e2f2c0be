"""Ingest problems: kept once each, and gone when the file reads cleanly."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import delete, select

from tracker.domain import Problem
from tracker.store import tables as t
from tracker.store.base import chunks
from tracker.store.identity import problem_digest
from tracker.store.transaction import Transaction
from tracker.store.writes import reference


def record_problems(tx: Transaction, project: str, problems: Iterable[Problem]) -> None:
    """Keep problems; one that is kept already stays as it is."""
    project_id = reference.ensure_project(tx, project)
    now = datetime.now(UTC)
    rows = [
        {
            "project_id": project_id,
            "digest": problem_digest(problem),
            "path": problem.path,
            "benchmark": problem.benchmark,
            "reason": problem.reason,
            "seen_at": now,
        }
        for problem in problems
    ]
    tx.ensure(t.ingest_problem, ["project_id", "digest"], rows)


def forget_problems(
    tx: Transaction, project: str, places: Iterable[str], *, keep: Iterable[Problem] = ()
) -> None:
    """Delete the problems stored for files at or below `places`, but those in `keep`."""
    project_id = reference.ensure_project(tx, project)
    stored = t.ingest_problem.c
    kept_digests = {problem_digest(problem) for problem in keep}
    read = [Path(place) for place in places]
    listed = tx.conn.execute(
        select(stored.id, stored.path, stored.digest).where(stored.project_id == project_id)
    )
    gone = [
        row.id
        for row in listed
        if row.digest not in kept_digests
        and any(Path(row.path).is_relative_to(place) for place in read)
    ]
    for chunk in chunks(gone):
        tx.conn.execute(delete(t.ingest_problem).where(stored.id.in_(chunk)))
