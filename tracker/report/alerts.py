"""Alerts as text for a person. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from tracker.domain import AlertInfo, AlertState

__all__ = ["alert_lines", "alert_text"]

_STYLES: dict[AlertState, str] = {
    "open": "red",
    "acked": "yellow",
    "expected": "cyan",
    "resolved": "green",
    "fixed": "green",
}


def alert_lines(alerts: Sequence[AlertInfo]) -> Text:
    """One line for each alert: id, state, day, project, title."""
    if not alerts:
        return Text("no alerts")
    text = Text()
    width = max(len(str(alert.id)) for alert in alerts)
    for number, alert in enumerate(alerts):
        text.append("\n" if number else "")
        text.append(f"{alert.id:>{width}}  ")
        text.append(f"{alert.state:<8}", style=_STYLES[alert.state])
        text.append(f"  {alert.created_at:%Y-%m-%d}  {alert.project}  {alert.title}")
    return text


def alert_text(alert: AlertInfo) -> Text:
    """Everything an alert holds."""
    text = Text(f"alert {alert.id}  ")
    text.append(alert.state, style=_STYLES[alert.state])
    text.append(f"\n{alert.title}\n\nproject  {alert.project}")
    if alert.revision is not None:
        revision = alert.revision
        text.append(f"\ncommit   {revision.commit}  {revision.committed_at:%Y-%m-%d}")
        if revision.subject:
            text.append(f"  {revision.subject}")
    for name, value in (
        ("assigned", alert.assignee),
        ("issue", alert.issue),
        ("until", f"{alert.until:%Y-%m-%d %H:%M} UTC" if alert.until else None),
        ("part of", alert.merged_into),
        ("fixed by", alert.fixed_by),
    ):
        if value:
            text.append(f"\n{name:<8} {value}")
    text.append(f"\nopened   {alert.created_at:%Y-%m-%d %H:%M} UTC")
    text.append(f"\nchanged  {alert.updated_at:%Y-%m-%d %H:%M} UTC")
    text.append(f"\n\n{alert.detail}")
    if alert.note:
        text.append(f"\n\n{alert.note}")
    return text
