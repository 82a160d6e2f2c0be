"""Alerts, and the messages about them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from tracker.domain.history import RevisionInfo

AlertState = Literal["open", "acked", "expected", "resolved", "fixed"]
DeliveryState = Literal["waiting", "delivered", "dropped"]


@dataclass(frozen=True, slots=True)
class AlertEvent:
    """One line of an alert's history, which only ever grows.

    Attributes:
        at: When it happened.
        action: What kind of event it is (`tracker.triage`).
        text: In words, one line.
        by: Who did it; None: the tracker itself.
    """

    at: datetime
    action: str
    text: str
    by: str | None = None

    def __str__(self) -> str:
        stamp = self.at.strftime("%Y-%m-%dT%H:%M:%SZ")
        return f"{stamp} {self.text}" + (f" (by {self.by})" if self.by else "")


@dataclass(frozen=True, slots=True)
class AlertInfo:
    """An alert and what people decided about it.

    Attributes:
        state: As of now: an acceptance that has expired reads as "open".
        revision: The commit that it is about: `detected` unless a person moved it.
        key: What is never alerted twice: project, commit and machine.
        machine: Where; None for alerts of earlier versions whose key names none.
        detected: The commit at which the level shift begins, or which a gate judged.
        metrics: What it covers of the commit's series; None: all that no other alert covers.
        merged_into: Key of the alert that it is a part of.
        until: When the acceptance ends; None: never.
        fixed_by: Full hash of the commit that is said to fix it.
        history: Everything that happened to it, oldest first.
    """

    id: int
    project: str
    state: AlertState
    title: str
    detail: str
    revision: RevisionInfo | None
    num_series: int
    worst_effect: float | None
    created_at: datetime
    updated_at: datetime
    key: str | None = None
    machine: str | None = None
    detected: RevisionInfo | None = None
    metrics: tuple[str, ...] | None = None
    merged_into: str | None = None
    assignee: str | None = None
    issue: str | None = None  # URL
    until: datetime | None = None
    fixed_by: str | None = None
    history: tuple[AlertEvent, ...] = ()

    @property
    def note(self) -> str | None:
        """The history as text, a line for each event; None where nothing happened yet."""
        return "\n".join(map(str, self.history)) or None


@dataclass(frozen=True, slots=True)
class DeliveryInfo:
    """A message about an alert on its way to one place, or there.

    Attributes:
        sink: The place.
        stage: What is said of the alert.
        attempts: How often it was tried.
        next_at: Not tried before.
        finished_at: When it was delivered, or dropped since the alert had gone on; None: it waits.
        reference: What the place calls it: an issue's number.
        error: Of the last attempt.
    """

    id: int
    alert_id: int
    sink: str
    stage: str
    state: DeliveryState
    attempts: int
    next_at: datetime
    finished_at: datetime | None = None
    reference: str | None = None
    error: str | None = None
