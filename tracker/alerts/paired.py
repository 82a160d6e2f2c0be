"""Notes the result of a paired run on an open alert, and resolves the alert if it is refuted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from tracker.alerts.rules import key_of, said_of_worse
from tracker.domain import AlertInfo
from tracker.findings import Finding
from tracker.report.findings import confirmation_text
from tracker.store import Store, queries

__all__ = ["note_confirmations"]


def note_confirmations(
    store: Store, alerts: Mapping[str, AlertInfo], findings: Iterable[Finding], *, now: datetime
) -> list[AlertInfo]:
    """Note the results of paired runs on open and acked alerts; return the alerts it resolved.

    An open alert whose finding is refuted is resolved. An acked alert is closed by its user only,
    and so is an alert whose commit a gate called a regression against any base.

    Args:
        store: Open for writing.
        alerts: By their key.
        findings: Of the same project.
        now: For the note.
    """
    closed = []
    for finding in findings:
        alert, said = alerts.get(key_of(finding)), said_of_worse(finding)
        if alert is None or alert.state not in ("open", "acked") or said is None:
            continue
        event = confirmation_text(said, finding)
        if event in alert.detail or any(event in line.text for line in alert.history):
            continue
        closes = said == "refuted" and alert.state == "open" and not _is_blocked(store, finding)
        store.note_alert(alert.id, "judged", event, now=now, move="resolve" if closes else None)
        if closes:
            closed.append(queries.get_alert(store, alert.id))
    return closed


def _is_blocked(store: Store, finding: Finding) -> bool:
    return any(
        gate.exit_code == 1
        and gate.head.commit == finding.revision.commit
        and gate.machine == finding.machine
        for gate in queries.list_gates(store, finding.project, limit=None)
    )
