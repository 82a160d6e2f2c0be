"""Intended changes: one for a metric and the commit that brings it."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import delete, insert

from tracker.domain import Expectation
from tracker.store import tables as t
from tracker.store.transaction import Transaction
from tracker.store.writes import reference


def record_expectation(tx: Transaction, project: str, expectation: Expectation) -> None:
    """Keep an intended change; it replaces one of the same metric and commit."""
    e = t.expectation.c
    project_id = reference.ensure_project(tx, project)
    key = f"{expectation.commit or '*'} {expectation.metric}"
    tx.conn.execute(delete(t.expectation).where(e.project_id == project_id, e.key == key))
    row = {
        "project_id": project_id,
        "key": key,
        "metric": expectation.metric,
        "change": expectation.change,
        "because": expectation.because,
        "commit_hash": expectation.commit,
        "until": expectation.until,
        "created_at": datetime.now(UTC),
    }
    tx.conn.execute(insert(t.expectation).values(**row))
