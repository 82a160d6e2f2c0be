"""Deliveries: planned once, held by one process at a time, finished with a line in the history."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, or_, select, update

from tracker.store import tables as t
from tracker.store.transaction import Transaction
from tracker.store.writes.alerts import add_event

_d = t.delivery.c


def plan_deliveries(
    tx: Transaction,
    wanted: Iterable[tuple[int, str, str]],
    *,
    dropped: Iterable[int] = (),
    now: datetime,
) -> None:
    """Plan deliveries (alert, sink, stage) that are not there yet; give up `dropped` ones.

    One that was dropped and is wanted again is taken up; one that a process holds is not dropped.
    """
    ordered = sorted(wanted)
    rows = [
        {"alert_id": alert_id, "sink": sink, "stage": stage, "state": "waiting", "attempts": 0,
         "next_at": now}
        for alert_id, sink, stage in ordered
    ]  # fmt: skip
    tx.insert_missing(t.delivery, rows)
    for alert_id, sink, stage in ordered:
        tx.conn.execute(
            update(t.delivery)
            .where(
                _d.alert_id == alert_id, _d.sink == sink, _d.stage == stage, _d.state == "dropped"
            )
            .values(state="waiting", next_at=now, finished_at=None)
        )
    for delivery_id in dropped:
        tx.conn.execute(
            update(t.delivery)
            .where(_d.id == delivery_id, _d.state == "waiting", _is_free(now))
            .values(state="dropped", finished_at=now)
        )


def claim_delivery(tx: Transaction, delivery_id: int, *, now: datetime, lease: timedelta) -> bool:
    """Hold a delivery that is due for `lease`; return whether no other process holds it."""
    changed = tx.conn.execute(
        update(t.delivery)
        .where(_d.id == delivery_id, _d.state == "waiting", _d.next_at <= now, _is_free(now))
        .values(claimed_until=now + lease, attempts=_d.attempts + 1)
    )
    return changed.rowcount == 1


def finish_delivery(
    tx: Transaction, delivery_id: int, *, reference: str | None, now: datetime
) -> None:
    """Say that it arrived, on the alert as well."""
    row = tx.conn.execute(select(_d.alert_id, _d.sink, _d.stage).where(_d.id == delivery_id)).one()
    tx.conn.execute(
        update(t.delivery)
        .where(_d.id == delivery_id)
        .values(
            state="delivered", finished_at=now, claimed_until=None, reference=reference, error=None
        )
    )
    what = "" if row.stage == "opened" else f"{row.stage.partition(' ')[0]}, "
    add_event(tx, row.alert_id, "delivered", f"{what}delivered to {row.sink}", None, now)


def fail_delivery(
    tx: Transaction, delivery_id: int, error: str, *, next_at: datetime, now: datetime
) -> None:
    """Let it go until `next_at`; the alert's history gets a line where the reason is a new one."""
    row = tx.conn.execute(select(_d.alert_id, _d.sink, _d.error).where(_d.id == delivery_id)).one()
    tx.conn.execute(
        update(t.delivery)
        .where(_d.id == delivery_id)
        .values(claimed_until=None, next_at=next_at, error=error)
    )
    if row.error != error:
        text = f"not delivered to {row.sink} ({error})"
        add_event(tx, row.alert_id, "undelivered", text, None, now)


def _is_free(now: datetime) -> ColumnElement[bool]:
    return or_(_d.claimed_until.is_(None), _d.claimed_until <= now)
