"""Forgetting raw data that got old; values, verdicts and history stay."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

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


def thin(store: Store, now: datetime, *, keep_days: int) -> Pruned:
    """Thin out samples and artifacts with age; values, intervals, verdicts and history stay.

    The newest `keep_days` days are kept whole. Of older runs, up to ten times that age, the first of
    each machine, environment and week keeps its samples and artifacts; of still older ones, none.

    Raises:
        StoreError: The database failed; nothing was deleted.
    """
    return store.write(lambda tx: _thin(tx, now, timedelta(days=keep_days)))


def _thin(tx: Transaction, now: datetime, keep: timedelta) -> Pruned:
    r = t.run.c
    rows = tx.conn.execute(
        select(r.id, r.machine_id, r.env_name, r.recorded_at)
        .where(r.recorded_at < now - keep)
        .order_by(r.recorded_at, r.id)
    )
    weeks: set[tuple[int, str, tuple[int, int]]] = set()
    old: list[int] = []
    for row in rows:
        year, week, _ = row.recorded_at.isocalendar()
        place = (row.machine_id, row.env_name, (year, week))
        if row.recorded_at >= now - 10 * keep and place not in weeks:
            weeks.add(place)
        else:
            old.append(row.id)
    samples = artifacts = 0
    for runs in chunks(old):
        of_runs = select(t.result.c.id).where(t.result.c.run_id.in_(runs))
        samples += tx.conn.execute(
            delete(t.sample).where(t.sample.c.result_id.in_(of_runs))
        ).rowcount
        artifacts += tx.conn.execute(
            delete(t.artifact).where(t.artifact.c.run_id.in_(runs))
        ).rowcount
    return Pruned(samples, artifacts)


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
