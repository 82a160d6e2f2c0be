"""What a paired run says of an alert that is open already: noted, and closed where it is refuted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from tracker.alerts.notes import add_line
from tracker.alerts.rules import key_of, said_of_worse
from tracker.alerts.states import next_state
from tracker.domain import AlertInfo, AlertState
from tracker.findings import Finding
from tracker.report.findings import confirmation_text
from tracker.store import Store, queries

__all__ = ["hear"]


def hear(
    store: Store, alerts: Mapping[str, AlertInfo], findings: Iterable[Finding], *, now: datetime
) -> list[AlertInfo]:
    """Note on each open or acked alert what a paired run has said since; return those it closed.

    An open alert whose finding is refuted is resolved. One that is acked is somebody's to close,
    and so is one whose commit a gate called a regression, whatever that gate's base was.

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
        if event in alert.detail or event in (alert.note or ""):
            continue
        state: AlertState = alert.state
        if said == "refuted" and state == "open" and not _is_blocked(store, finding):
            state = next_state(state, "resolve")
            event = f"{state}: {event}"
        store.update_alert(alert.id, state=state, note=add_line(alert.note, event, now=now))
        if state != alert.state:
            closed.append(queries.get_alert(store, alert.id))
    return closed


def _is_blocked(store: Store, finding: Finding) -> bool:
    return any(
        gate.exit_code == 1
        and gate.head.commit == finding.revision.commit
        and gate.machine == finding.machine
        for gate in queries.list_gates(store, finding.project, limit=None)
    )
