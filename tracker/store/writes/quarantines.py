"""GPUs whose launches do not count."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime

from sqlalchemy import insert, select, update

from tracker.domain import QuarantinedGpu
from tracker.store import tables as t
from tracker.store.transaction import Transaction

_q = t.quarantine.c


def record_quarantine(tx: Transaction, gpu: QuarantinedGpu) -> None:
    """Keep a GPU's launches from counting, in every project; one already kept stays as it is."""
    same = select(_q.id).where(_q.gpu == gpu.gpu, _q.released_at.is_(None))
    if tx.conn.execute(same).first() is None:
        tx.conn.execute(insert(t.quarantine).values(**asdict(gpu)))


def release_gpu(tx: Transaction, gpu: str, because: str) -> bool:
    """Let a GPU's launches count again; return whether it was in quarantine."""
    statement = (
        update(t.quarantine)
        .where(_q.gpu == gpu, _q.released_at.is_(None))
        .values(released_at=datetime.now(UTC), released_because=because)
    )
    return bool(tx.conn.execute(statement).rowcount)
