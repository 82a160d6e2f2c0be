"""Forgetting raw data that got old; values, verdicts and history stay."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, delete, func, select

from tracker.store import tables as t
from tracker.store.base import chunks
from tracker.store.store import Store
from tracker.store.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many rows went, or would go."""

    samples: int
    artifacts: int


def count_prunable(store: Store, before: datetime) -> Pruned:
    """Return how much `prune` would delete. Changes nothing."""
    with store.reading() as conn:
        samples = conn.execute(
            select(func.count()).select_from(t.sample).where(_old_sample(before))
        ).scalar_one()
        a = t.artifact.c
        rows = conn.execute(
            select(a.id, a.header, t.run.c.recorded_at).join(t.run, t.run.c.id == a.run_id)
        )
        artifacts = sum(_launched_at(row.header, row.recorded_at) < before for row in rows)
    return Pruned(samples, artifacts)


def prune(store: Store, before: datetime) -> Pruned:
    """Delete the samples and artifact headers of everything measured before a moment.

    The artifacts' files stay where they are: they are not the store's.

    Raises:
        StoreError: The database failed; nothing was deleted.
    """
    return store.write(lambda tx: _prune(tx, before))


def _prune(tx: Transaction, before: datetime) -> Pruned:
    samples = tx.conn.execute(delete(t.sample).where(_old_sample(before))).rowcount
    a = t.artifact.c
    rows = tx.conn.execute(
        select(a.id, a.header, t.run.c.recorded_at).join(t.run, t.run.c.id == a.run_id)
    )
    old = [row.id for row in rows if _launched_at(row.header, row.recorded_at) < before]
    for chunk in chunks(old):
        tx.conn.execute(delete(t.artifact).where(a.id.in_(chunk)))
    return Pruned(samples, len(old))


def _old_sample(before: datetime) -> ColumnElement[bool]:
    r = t.result.c
    measured = func.coalesce(r.started_at, t.run.c.recorded_at, type_=r.started_at.type)
    old = select(r.id).join(t.run, t.run.c.id == r.run_id).where(measured < before)
    return t.sample.c.result_id.in_(old)


def _launched_at(header: dict[str, object], recorded_at: datetime) -> datetime:
    try:
        moment = datetime.fromisoformat(str(header.get("started_at")))
    except ValueError:
        return recorded_at
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
