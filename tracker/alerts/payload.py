"""An alert as the JSON document that a webhook receives. Pure; docs/alerts.md shows it."""

from __future__ import annotations

from datetime import UTC

from tracker.alerts.message import Message
from tracker.domain import AlertInfo

__all__ = ["FORMAT", "alert_document", "webhook_payload"]

FORMAT = 1


def alert_document(alert: AlertInfo) -> dict[str, object]:
    """The alert's fields as JSON values; times are ISO 8601 in UTC."""
    revision = alert.revision
    return {
        "id": alert.id,
        "key": alert.key,
        "project": alert.project,
        "state": alert.state,
        "title": alert.title,
        "detail": alert.detail,
        "commit": revision.commit if revision else None,
        "committed_at": revision.committed_at.astimezone(UTC).isoformat() if revision else None,
        "subject": revision.subject if revision else None,
        "num_series": alert.num_series,
        "worst_effect": alert.worst_effect,
        "created_at": alert.created_at.astimezone(UTC).isoformat(),
        "updated_at": alert.updated_at.astimezone(UTC).isoformat(),
        "assignee": alert.assignee,
        "issue": alert.issue,
        "until": alert.until.astimezone(UTC).isoformat() if alert.until else None,
        "fixed_by": alert.fixed_by,
        "note": alert.note,
    }


def webhook_payload(message: Message) -> dict[str, object]:
    """What is POSTed: `text` for chat services, the same alert in fields under `pacekeeper`."""
    alert = message.alert
    return {
        "text": _escape(f"*{alert.project}* {message.title}\n{message.text}"),
        "pacekeeper": {
            "format": FORMAT,
            "event": "alert",
            "stage": message.stage,
            "delivery": message.delivery_key,
            "alert": alert_document(alert),
        },
    }


def _escape(text: str) -> str:
    # Slack's control characters: unescaped, a commit subject "<!channel>" would call everybody.
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
