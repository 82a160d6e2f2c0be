"""Closes the alert of a commit that broke benchmarks once a gate shows that they run again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from tracker.alerts.rules import broken_in
from tracker.domain import GateInfo
from tracker.store import Store, queries
from tracker.triage import Move

__all__ = ["close_mended"]


def close_mended(
    store: Store, gate: GateInfo, is_ancestor: Callable[[str, str], bool], *, now: datetime
) -> None:
    """Note on open and acked alerts that `gate` measured all that their commit broke; close them.

    An alert becomes fixed where the gate judged a later commit, and an open one resolved where it
    judged the same commit again. One that a regression opened as well only gets the note.

    Args:
        store: Open for writing.
        gate: A finished one; without a valid measurement it closes nothing.
        is_ancestor: Whether the history of the second commit holds the first.
        now: For the history.
    """
    measured = {verdict.metric for verdict in gate.verdicts if verdict.head is not None}
    alerts = queries.list_alerts(store, gate.project, states=("open", "acked"))
    for alert in alerts if gate.is_valid else ():
        if alert.detected is None or alert.machine != gate.machine:
            continue
        commit = alert.detected.commit
        gates = queries.list_gates(store, gate.project, limit=None, head=commit)
        blocked = [g for g in gates if g.machine == gate.machine and g.exit_code == 1]
        broken = {item.metric for g in blocked for item in broken_in(g)}
        if not broken or not broken <= measured or not is_ancestor(commit, gate.head.commit):
            continue
        text = f"{gate.head.commit[:12]} runs all benchmarks again that failed"
        if any(text in event.text for event in alert.history):
            continue
        move: Move | None = "fix" if commit != gate.head.commit else "resolve"
        if any(v.status == "regression" for g in blocked for v in g.verdicts) or (
            move == "resolve" and alert.state != "open"
        ):
            move = None
        store.note_alert(alert.id, "judged", f"{text} (gate {gate.id})", now=now, move=move)
