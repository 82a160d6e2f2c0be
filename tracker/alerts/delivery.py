"""Sends alerts; a failed delivery is noted on the alert and repeated by the next call."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from tracker.alerts.sinks import DeliveryError, Sink
from tracker.domain import AlertInfo
from tracker.store import Store

__all__ = ["Failure", "deliver"]


@dataclass(frozen=True, slots=True)
class Failure:
    """A delivery that one sink refused. The alert stays in the store, and its note states the failure."""

    alert_id: int
    sink: str
    reason: str

    def __str__(self) -> str:
        return f"alert {self.alert_id} was not delivered to {self.sink}: {self.reason}"


def deliver(store: Store, alerts: Iterable[AlertInfo], sinks: Sequence[Sink]) -> list[Failure]:
    """Send every alert to every sink and note the outcome on the alert; never raises for a sink.

    A sink that failed is not tried again in the same call: ten alerts to a dead server would
    otherwise block the measuring machine for minutes. An alert whose delivery failed is sent to
    all sinks again at the next call, so that a receiver may see one twice but never misses it.
    """
    failures: list[Failure] = []
    broken: dict[str, str] = {}
    for alert in alerts:
        reached: list[str] = []
        missed: list[Failure] = []
        for sink in sinks:
            reason = broken.get(sink.name) or _try(sink, alert)
            if reason is None:
                reached.append(sink.name)
            else:
                broken[sink.name] = reason
                missed.append(Failure(alert.id, sink.name, reason))
        failures += missed
        if reached or missed:
            action, text = _event(reached, missed)
            store.note_alert(alert.id, action, text, now=datetime.now(UTC))
    return failures


def _try(sink: Sink, alert: AlertInfo) -> str | None:
    try:
        sink.send(alert)
    except DeliveryError as error:
        return str(error)
    return None


def _event(reached: Sequence[str], missed: Sequence[Failure]) -> tuple[str, str]:
    if missed:
        reasons = "; ".join(f"{failure.sink} ({failure.reason})" for failure in missed)
        return "undelivered", f"not delivered to {reasons}"
    return "delivered", f"delivered to {', '.join(reached)}"
