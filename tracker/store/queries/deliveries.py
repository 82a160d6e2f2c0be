"""Deliveries of alerts."""

from __future__ import annotations

from sqlalchemy import select

from tracker.domain import DeliveryInfo
from tracker.store import tables as t
from tracker.store.queries.projects import find_project
from tracker.store.store import Store


def list_deliveries(store: Store, project: str) -> list[DeliveryInfo]:
    """Return the deliveries of a project's alerts in the order they were planned.

    Raises:
        UsageError: No such project.
    """
    d = t.delivery.c
    columns = (d.id, d.alert_id, d.sink, d.stage, d.state, d.attempts, d.next_at, d.finished_at,
               d.reference, d.error)  # fmt: skip
    with store.reading() as conn:
        statement = (
            select(*columns)
            .join(t.alert, t.alert.c.id == d.alert_id)
            .where(t.alert.c.project_id == find_project(conn, project))
            .order_by(d.id)
        )
        return [DeliveryInfo(**row) for row in conn.execute(statement).mappings()]
