"""Explanations: the newest of each machine and pair of commits."""

from __future__ import annotations

from sqlalchemy import delete, insert

from tracker.domain import ExplanationInfo
from tracker.store import tables as t
from tracker.store.transaction import Transaction
from tracker.store.writes import reference


def record_explanation(tx: Transaction, project: str, explanation: ExplanationInfo) -> None:
    """Keep an explanation; it replaces the one of the same machine and commits."""
    e = t.explanation.c
    key = {
        "project_id": reference.ensure_project(tx, project),
        "machine": explanation.machine,
        "base_hash": explanation.base,
        "head_hash": explanation.head,
    }
    same = [getattr(e, name) == value for name, value in key.items()]
    tx.conn.execute(delete(t.explanation).where(*same))
    row = {**key, "created_at": explanation.created_at, "document": dict(explanation.document)}
    tx.conn.execute(insert(t.explanation).values(**row))
