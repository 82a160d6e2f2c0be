"""Opens and delivers alerts for the findings in the store."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TextIO

from tracker.alerts.config import AlertsConfig
from tracker.alerts.delivery import Failure, deliver
from tracker.alerts.notes import add_line, awaits_delivery
from tracker.alerts.paired import note_confirmations
from tracker.alerts.rules import NewAlert, gate_alert, key_of, new_alerts
from tracker.alerts.sinks import sinks_of
from tracker.alerts.states import ALL_STATES, Action, next_state
from tracker.alerts.withdrawn import note_withdrawn
from tracker.changepoints import stored_findings
from tracker.domain import AlertInfo, GateInfo
from tracker.findings import Finding
from tracker.store import Store, queries

__all__ = ["Notified", "alert_for_gate", "move_alert", "notify"]


@dataclass(frozen=True, slots=True)
class Notified:
    """The result of one call: alerts opened, alerts closed, and deliveries that failed."""

    opened: tuple[AlertInfo, ...]
    closed: tuple[AlertInfo, ...]
    failures: tuple[Failure, ...]


def notify(
    store: Store,
    project: str,
    config: AlertsConfig,
    *,
    findings: tuple[Finding, ...] | None = None,
    stream: TextIO | None = None,
) -> Notified:
    """Open an alert for each new regression among the level shifts, and send what is unsent.

    A commit alerts once on a class of machine, whatever the state of that alert. Later results of
    paired runs are noted on the alert; an open alert that is refuted is resolved. A failed delivery
    is noted and repeated by the next call.

    Args:
        store: Open for writing.
        project: Whose alerts.
        config: The `[alerts]` table.
        findings: What `changepoints.analyze` just found, where the caller has it; else the
            shifts that the store holds.
        stream: Of the console sink; standard error unless given.

    Raises:
        StoreError: The store cannot be read or written. A sink never raises.
    """
    if findings is None:
        findings = stored_findings(store, project)
    findings = tuple(finding for finding in findings if finding.project == project)
    before = queries.list_alerts(store, project, states=ALL_STATES)
    known = {alert.key: alert for alert in before if alert.key}
    closed = note_confirmations(store, known, findings, now=datetime.now(UTC))
    # All that is stored, since `findings` may be of one machine or one search alone.
    stored = {key_of(finding) for finding in stored_findings(store, project)}
    current = {alert.key: alert for alert in queries.list_alerts(store, project) if alert.key}
    note_withdrawn(store, current, stored, now=datetime.now(UTC))
    alerts = new_alerts(
        findings,
        known,
        config,
        newest=_newest(store, project),
        expectations=queries.list_expectations(store, project),
    )
    opened = [alert for new in alerts if (alert := _open(store, project, new)) is not None]
    failures = _send_unsent(store, project, config, stream)
    return Notified(tuple(opened), tuple(closed), tuple(failures))


def alert_for_gate(
    store: Store,
    gate: GateInfo,
    config: AlertsConfig | None = None,
    *,
    stream: TextIO | None = None,
) -> AlertInfo | None:
    """Open the alert of a finished gate that found a regression, and send it.

    Args:
        store: Open for writing; the gate's head must be a revision it knows.
        gate: With its verdicts.
        config: The `[alerts]` table; None opens the alert and leaves sending to `notify`.
        stream: Of the console sink; standard error unless given.

    Returns:
        The alert, or None where nothing regressed or the commit has alerted before.
    """
    new = gate_alert(gate)
    alert = _open(store, gate.project, new) if new is not None else None
    if config is not None:
        _send_unsent(store, gate.project, config, stream)
    return queries.get_alert(store, alert.id) if alert is not None else None


def move_alert(
    store: Store, alert_id: int, action: Action, *, note: str | None, now: datetime
) -> AlertInfo:
    """Move an alert to the state that `action` leads to, and add the move to its note.

    Raises:
        UsageError: There is no such alert, or the move is impossible from its state.
    """
    alert = queries.get_alert(store, alert_id)
    state = next_state(alert.state, action)
    event = f"{state}: {note}" if note else state
    store.update_alert(alert_id, state=state, note=add_line(alert.note, event, now=now))
    return queries.get_alert(store, alert_id)


def _open(store: Store, project: str, new: NewAlert) -> AlertInfo | None:
    alert_id, is_new = store.open_alert(
        project,
        key=new.key,
        title=new.title,
        detail=new.detail,
        revision_commit=new.commit,
        num_series=new.num_series,
        worst_effect=new.worst_effect,
    )
    return queries.get_alert(store, alert_id) if is_new else None


def _send_unsent(
    store: Store, project: str, config: AlertsConfig, stream: TextIO | None
) -> list[Failure]:
    # Read back rather than remembered: another run may have died between opening and sending.
    unsent = [
        alert
        for alert in queries.list_alerts(store, project, states=("open",))
        if awaits_delivery(alert.note)
    ]
    return deliver(store, unsent, sinks_of(config, stream=stream or sys.stderr))


def _newest(store: Store, project: str) -> datetime | None:
    newest = queries.overview(store, project).newest
    return newest.committed_at if newest is not None else None
