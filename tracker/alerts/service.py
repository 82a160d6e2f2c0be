"""Opens and delivers alerts for the findings in the store."""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TextIO

from tracker.alerts.config import AlertsConfig
from tracker.alerts.delivery import Failure, send_due
from tracker.alerts.mended import close_mended
from tracker.alerts.paired import note_confirmations
from tracker.alerts.recovered import close_recovered
from tracker.alerts.rules import NewAlert, alert_of, gate_alert, key_of, new_alerts
from tracker.alerts.silence import silences, spoke_again
from tracker.alerts.sinks import sinks_of
from tracker.alerts.withdrawn import note_withdrawn
from tracker.domain import AlertInfo, GateInfo
from tracker.findings import Finding
from tracker.store import Store, queries
from tracker.stored_findings import stored_findings
from tracker.triage import ALL_STATES, alert_key

__all__ = ["Notified", "alert_for_finding", "alert_for_gate", "notify"]


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
    now: datetime | None = None,
) -> Notified:
    """Open an alert for each new regression and each silent machine, and send what is due.

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
        now: The present time unless given.

    Raises:
        StoreError: The store cannot be read or written. A sink never raises.
    """
    now = now or datetime.now(UTC)
    if findings is None:
        findings = stored_findings(store, project)
    findings = tuple(finding for finding in findings if finding.project == project)
    _reopen_expired(store, project)
    before = queries.list_alerts(store, project, states=ALL_STATES, merged=True)
    known = {alert.key: alert for alert in before if alert.key}
    closed = note_confirmations(store, known, findings, now=now)
    closed += close_recovered(store, known, findings, now=now)
    # All that is stored, since `findings` may be of one machine or one search alone.
    stored = {key_of(finding) for finding in stored_findings(store, project)}
    current = {
        alert.key: alert
        for alert in queries.list_alerts(store, project)
        if alert.key and alert.revision is not None
    }
    note_withdrawn(store, current, stored, now=now)
    moved = {
        alert_key(project, alert.revision.commit, alert.machine)
        for alert in before
        if alert.revision is not None and alert.machine is not None
    }
    alerts = new_alerts(
        findings,
        known.keys() | moved,
        config,
        newest=_newest(store, project),
        expectations=queries.list_expectations(store, project),
    )
    ids = [
        alert_id for new in alerts for alert_id, is_new in [_open(store, project, new)] if is_new
    ]
    ids += _open_silences(store, project, config, now)
    opened = [queries.get_alert(store, alert_id) for alert_id in ids]
    failures = _send(store, project, config, stream, now)
    return Notified(tuple(opened), tuple(closed), tuple(failures))


def alert_for_gate(
    store: Store,
    gate: GateInfo,
    config: AlertsConfig | None = None,
    *,
    is_ancestor: Callable[[str, str], bool] = operator.eq,
    stream: TextIO | None = None,
    now: datetime | None = None,
) -> AlertInfo | None:
    """Open the alert of a finished gate that blocked, and send it; close those that it shows mended.

    Args:
        store: Open for writing; the gate's head must be a revision it knows.
        gate: With its verdicts.
        config: The `[alerts]` table; None opens the alert and leaves sending to `notify`.
        is_ancestor: Whether the history of the second commit holds the first; see `close_mended`.
        stream: Of the console sink; standard error unless given.
        now: The present time unless given.

    Returns:
        The alert, or None where nothing is worse or the commit has alerted before.
    """
    now = now or datetime.now(UTC)
    close_mended(store, gate, is_ancestor, now=now)
    new = gate_alert(gate)
    alert_id, is_new = (0, False) if new is None else _open(store, gate.project, new)
    if config is not None:
        _send(store, gate.project, config, stream, now)
    return queries.get_alert(store, alert_id) if is_new else None


def alert_for_finding(store: Store, finding: Finding) -> AlertInfo:
    """The alert of a finding; one is opened where there is none, for a person who triages it."""
    return queries.get_alert(store, _open(store, finding.project, alert_of(finding))[0])


def _reopen_expired(store: Store, project: str) -> None:
    now = datetime.now(UTC)
    for alert in queries.list_alerts(store, project, states=("open",), merged=True):
        if alert.until is not None:
            store.expire_alert(alert.id, now=now)


def _open(store: Store, project: str, new: NewAlert) -> tuple[int, bool]:
    return store.open_alert(
        project,
        key=new.key,
        title=new.title,
        detail=new.detail,
        revision_commit=new.commit,
        machine=new.machine,
        num_series=new.num_series,
        worst_effect=new.worst_effect,
    )


def _open_silences(store: Store, project: str, config: AlertsConfig, now: datetime) -> list[int]:
    """Open alerts for silent machines, and close those of machines that measure again."""
    machines = queries.machine_uses(store, project)
    opened = []
    for silence in silences(project, machines, config, now=now):
        alert_id, is_new = store.open_alert(
            project,
            key=silence.key,
            title=silence.title,
            detail=silence.detail,
            machine=silence.machine,
        )
        if is_new:
            opened.append(alert_id)
    for alert_id, measured in spoke_again(queries.list_alerts(store, project), machines).items():
        text = f"it measured again at {measured:%Y-%m-%d %H:%M} UTC"
        store.note_alert(alert_id, "reported", text, now=now, move="resolve")
    return opened


def _send(
    store: Store, project: str, config: AlertsConfig, stream: TextIO | None, now: datetime
) -> list[Failure]:
    # Read back rather than remembered: another run may have died between opening and sending.
    return send_due(store, project, config, sinks_of(config, stream=stream or sys.stderr), now=now)


def _newest(store: Store, project: str) -> datetime | None:
    newest = queries.overview(store, project).newest
    return newest.committed_at if newest is not None else None
