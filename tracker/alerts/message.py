"""What is sent of an alert, and when: the stages that it goes through. Pure.

::

    opened ──► escalated 1, 2, 3     it stayed open
       │
       └────► closed N ──► reopened N ──► closed N+1
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tracker.alerts.config import AlertsConfig
from tracker.domain import AlertInfo

__all__ = ["Message", "message_of", "stages_of"]

_CLOSED = ("expected", "resolved", "fixed")
_NO_MOVES = frozenset({"comment", "assign", "link", "delivered", "undelivered"})
_MAX_ESCALATIONS = 3


@dataclass(frozen=True, slots=True)
class Message:
    """One message about one alert.

    Attributes:
        alert: As it is now.
        stage: What is said of it; no place gets a stage of an alert twice.
        title, text: For people.
        chart: The worst series' history as SVG; None: it has none.
    """

    alert: AlertInfo
    stage: str
    title: str
    text: str
    chart: str | None = None

    @property
    def thread_id(self) -> str:
        """The same for all messages about an alert."""
        return f"{self.alert.project}/{self.alert.key or self.alert.id}"

    @property
    def delivery_id(self) -> str:
        """The same where this message is sent again, and for no other."""
        return f"{self.thread_id}#{self.stage}"

    @property
    def delivery_key(self) -> str:
        """`delivery_id` as a header may hold it."""
        return hashlib.sha256(self.delivery_id.encode()).hexdigest()

    @property
    def is_closed(self) -> bool:
        return self.stage.startswith("closed")


def stages_of(alert: AlertInfo, config: AlertsConfig, *, now: datetime) -> list[str]:
    """Return the stages of an alert that a message is due for, oldest first.

    An alert that somebody acknowledged neither opens nor escalates any more. A stage that was
    passed over, while nothing ran, is left out: only the newest escalation is listed.
    """
    closings, is_closed = _closings(alert)
    if is_closed:
        return [f"closed {closings}"] if config.recovery else []
    if alert.state != "open":
        return []
    if closings:
        return [f"reopened {closings}"]
    stages = ["opened"]
    if config.escalate_hours > 0:
        open_for = (now - alert.created_at) / timedelta(hours=config.escalate_hours)
        if open_for >= 1:  # after 1, 2 and 4 times as long
            number = min(_MAX_ESCALATIONS, 1 + int(math.log2(open_for)))
            stages.append(f"escalated {number}")
    return stages


def message_of(
    alert: AlertInfo,
    stage: str,
    *,
    now: datetime,
    lines: Sequence[str] = (),
    chart: str | None = None,
) -> Message:
    """Return the message of a stage.

    Args:
        alert: As it is now.
        stage: One of `stages_of`.
        now: For how long it has been open.
        lines: What is known beside the alert's detail: cause, links.
        chart: As in `Message.chart`.
    """
    title = alert.title
    parts = [alert.detail, *lines]
    if stage.startswith("escalated"):
        hours = (now - alert.created_at) / timedelta(hours=1)
        title = f"{title} (still open)"
        parts.insert(0, f"Open for {hours:.0f} hours, and nobody has acknowledged it.")
    elif stage.startswith("closed"):
        title = f"{title}: {alert.state}"
        parts.insert(0, f"Closed: {alert.history[-1].text}" if alert.history else "Closed.")
    elif stage.startswith("reopened"):
        title = f"{title}: open again"
    if stage.startswith(("opened", "escalated", "reopened")):
        parts.append(f"tracker alerts ack {alert.id}")
    return Message(alert, stage, title, "\n".join(parts), chart)


def _closings(alert: AlertInfo) -> tuple[int, bool]:
    """How often the alert was closed, and whether it is closed now."""
    is_closed = alert.state in _CLOSED
    # A move's line begins with the state that it led to.
    count = sum(
        event.action not in _NO_MOVES and event.text.startswith(_CLOSED) for event in alert.history
    )
    return max(count, int(is_closed)), is_closed
