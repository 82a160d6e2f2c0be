"""GPUs whose launches do not count."""

from __future__ import annotations

from sqlalchemy import select

from tracker.domain import QuarantinedGpu
from tracker.store import tables as t
from tracker.store.store import Store


def quarantined_gpus(store: Store) -> dict[str, QuarantinedGpu]:
    """Return the GPUs that are in quarantine now, by UUID."""
    q = t.quarantine.c
    columns = (q.gpu, q.machine, q.model, q.reason, q.since, q.released_at, q.released_because)
    statement = select(*columns).where(q.released_at.is_(None)).order_by(q.since, q.id)
    with store.reading() as conn:
        return {row.gpu: QuarantinedGpu(*row) for row in conn.execute(statement)}
