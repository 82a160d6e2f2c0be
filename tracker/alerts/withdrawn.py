"""Notes on an alert that later commits no longer confirm its level shift."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from tracker.domain import AlertInfo
from tracker.store import Store
from tracker.triage import PART

__all__ = ["note_withdrawn"]

WITHDRAWN = "withdrawn: with the commits measured since, no level shift is found at this commit"
_AGAIN = "found again: with the commits measured since, the level shift at this commit stands"


def note_withdrawn(
    store: Store, alerts: Mapping[str, AlertInfo], present: Collection[str], *, now: datetime
) -> None:
    """Note on open and acked alerts that their level shift is no longer found, or found again.

    The alert keeps its state; its user decides. Alerts that a gate opened rest on pairs,
    not on the history, and are left alone.

    Args:
        store: Open for writing.
        alerts: By their key.
        present: Keys of all findings of the project, whatever part of it was just searched.
        now: For the note.
    """
    for key, alert in alerts.items():
        if alert.state not in ("open", "acked") or alert.detail.startswith("gate "):
            continue
        said = [e.action for e in alert.history if e.action in ("withdrawn", "found again")]
        is_withdrawn = said[-1:] == ["withdrawn"]
        if is_withdrawn == (key.partition(PART)[0] not in present):
            continue
        action, text = ("found again", _AGAIN) if is_withdrawn else ("withdrawn", WITHDRAWN)
        store.note_alert(alert.id, action, text, now=now)
