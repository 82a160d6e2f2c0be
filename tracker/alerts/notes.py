"""The note of an alert is its log: one line for each thing that happened, oldest first."""

from __future__ import annotations

from datetime import UTC, datetime

__all__ = ["add_line", "awaits_delivery"]

DELIVERED = "delivered to"
NOT_DELIVERED = "not delivered to"


def add_line(note: str | None, event: str, *, now: datetime) -> str:
    """The note with one more line: the time (UTC, to the second) and the event."""
    stamp = now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    line = f"{stamp} {' '.join(event.split())}"
    return f"{note}\n{line}" if note else line


def awaits_delivery(note: str | None) -> bool:
    """Whether no delivery was tried yet, or the last one failed."""
    events = [line.partition(" ")[2] for line in (note or "").splitlines()]
    tries = [event for event in events if event.startswith((DELIVERED, NOT_DELIVERED))]
    return not tries or tries[-1].startswith(NOT_DELIVERED)
