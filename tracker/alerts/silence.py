"""Silence is not success: a machine that measured and then stopped is an alert."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tracker.alerts.config import AlertsConfig
from tracker.domain import AlertInfo, MachineUse

__all__ = ["Silence", "is_silence", "silences", "spoke_again"]

_MARK = "/silent since "


@dataclass(frozen=True, slots=True)
class Silence:
    """An alert to open: a machine whose last result is too old."""

    key: str
    title: str
    detail: str
    machine: str


def silences(
    project: str, machines: Iterable[MachineUse], config: AlertsConfig, *, now: datetime
) -> list[Silence]:
    """Return the machines that have been silent for too long. Pure.

    One that has been silent for more than `max_age_days` was given up, or its history imported.
    """
    if not config.silence_hours:
        return []
    limit = timedelta(hours=config.silence_hours)
    silent = []
    for use in machines:
        if use.last_measured is None:
            continue
        age = now - use.last_measured
        if limit <= age <= limit + timedelta(days=config.max_age_days):
            since = use.last_measured.astimezone(UTC)
            silent.append(
                Silence(
                    key=f"{project}/{use.machine.name}{_MARK}{since:%Y-%m-%dT%H:%M:%SZ}",
                    title=f"{use.machine.name} has measured nothing for {_span(age)}",
                    detail=f"last result {since:%Y-%m-%d %H:%M} UTC; check its service and its runner",
                    machine=use.machine.name,
                )
            )
    return silent


def is_silence(alert: AlertInfo) -> bool:
    """Whether the alert is about a machine that stopped reporting."""
    return alert.revision is None and _MARK in (alert.key or "")


def spoke_again(
    alerts: Iterable[AlertInfo], machines: Iterable[MachineUse]
) -> Mapping[int, datetime]:
    """Return the alerts whose machine has measured since, with when it last did. Pure."""
    last = {use.machine.name: use.last_measured for use in machines}
    again = {}
    for alert in alerts:
        measured = last.get(alert.machine or "")
        if is_silence(alert) and alert.state in ("open", "acked") and measured is not None:
            since = (alert.key or "").rpartition(_MARK)[2]
            if f"{measured.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" > since:
                again[alert.id] = measured
    return again


def _span(age: timedelta) -> str:
    hours = age / timedelta(hours=1)
    return f"{hours:.0f} hours" if hours < 72 else f"{hours / 24:.0f} days"
