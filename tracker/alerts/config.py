"""The `[alerts]` table of pacekeeper.toml."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import Any
from urllib.parse import urlsplit

from tracker.errors import PolicyError
from tracker.toml_table import AT_LEAST_0, INFINITY, Table

__all__ = ["AlertsConfig", "alerts_config"]

_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


@dataclass(frozen=True, slots=True)
class AlertsConfig:
    """Where alerts go, and which findings become one.

    Attributes:
        console: Print each new alert on standard error.
        webhook: URL to POST each new alert to, or `$NAME`: the environment variable that holds
            the URL, so that the secret stays out of the file. None: no webhook.
        min_effect: Least |after/before - 1| that alerts, a ratio; an exact metric alerts on
            any change beyond its step.
        max_age_days: Commits older than this, counted back from the newest measured commit,
            do not alert: a history that is imported is not news.
    """

    console: bool = True
    webhook: str | None = None
    min_effect: float = 0.01
    max_age_days: float = 30.0

    @property
    def webhook_variable(self) -> str | None:
        """Name of the environment variable that holds the URL; None where it is written out."""
        match = _VARIABLE.fullmatch(self.webhook or "")
        return (match[1] or match[2]) if match else None


def alerts_config(table: Table) -> AlertsConfig:
    """Return what an `[alerts]` table says.

    Raises:
        PolicyError: An unknown key, or a value of the wrong kind or out of range.
    """
    table.require_known([item.name for item in fields(AlertsConfig)])
    given: dict[str, Any] = {
        **table.flag("console"),
        **table.number("min_effect", AT_LEAST_0, INFINITY),
        **table.number("max_age_days", AT_LEAST_0, INFINITY),
    }
    return AlertsConfig(webhook=_webhook(table), **given)


def _webhook(table: Table) -> str | None:
    value = table.content.get("webhook")
    if value is None:
        return None
    if isinstance(value, str):
        parts = urlsplit(value)
        if _VARIABLE.fullmatch(value) or (parts.scheme in ("http", "https") and parts.hostname):
            return value
    # The value may be a secret: it is never repeated in a message.
    raise PolicyError(
        f"{table.source} webhook must be an http(s) URL, or $NAME of the environment variable "
        "that holds one"
    )
