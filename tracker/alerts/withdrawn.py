"""Notes on an alert that later commits no longer confirm its level shift."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from tracker.alerts.notes import add_line
from tracker.domain import AlertInfo
from tracker.store import Store

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
        note = alert.note or ""
        is_withdrawn = note.rfind(WITHDRAWN) > note.rfind(_AGAIN)
        if is_withdrawn == (key not in present):
            continue
        event = _AGAIN if is_withdrawn else WITHDRAWN
        store.update_alert(alert.id, state=alert.state, note=add_line(note, event, now=now))
