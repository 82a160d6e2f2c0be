"""Closes an open alert whose series all came back to where they were."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from tracker.alerts.rules import key_of
from tracker.domain import AlertInfo
from tracker.findings import Finding
from tracker.store import Store, queries

__all__ = ["close_recovered"]


def close_recovered(
    store: Store, alerts: Mapping[str, AlertInfo], findings: Iterable[Finding], *, now: datetime
) -> list[AlertInfo]:
    """Resolve open alerts whose worse series have all recovered; return them.

    An acked alert is closed by its user only, and one that a gate opened rests on pairs.

    Args:
        store: Open for writing.
        alerts: By their key.
        findings: Of the same project.
        now: For the history.
    """
    closed = []
    for finding in findings:
        alert, worse = alerts.get(key_of(finding)), finding.of("worse")
        if alert is None or not worse or not all(c.shift.recovered for c in worse):
            continue
        # Read again: a paired run may have closed it a moment ago.
        if queries.get_alert(store, alert.id).state != "open" or alert.detail.startswith("gate "):
            continue
        text = "the newest level is back near the one before"
        store.note_alert(alert.id, "recovered", text, now=now, move="resolve")
        closed.append(queries.get_alert(store, alert.id))
    return closed
