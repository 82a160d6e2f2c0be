"""The `[alerts]` table of pacekeeper.toml."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from urllib.parse import urlsplit

from tracker.errors import PolicyError, did_you_mean

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


def alerts_config(table: Mapping[str, object], *, source: str = "[alerts]") -> AlertsConfig:
    """Check the values of an `[alerts]` table.

    Args:
        table: Keys and values as TOML gives them.
        source: What the error messages call the table.

    Raises:
        PolicyError: An unknown key, or a value of the wrong kind or out of range.
    """
    known = [item.name for item in fields(AlertsConfig)]
    for key in table:
        if key not in known:
            raise PolicyError(f"{source}: unknown key {key!r}; {did_you_mean(key, known)}")
    default = AlertsConfig()
    return AlertsConfig(
        console=_flag(table.get("console", default.console), f"{source} console"),
        webhook=_webhook(table.get("webhook"), f"{source} webhook"),
        min_effect=_number(table.get("min_effect", default.min_effect), f"{source} min_effect"),
        max_age_days=_number(
            table.get("max_age_days", default.max_age_days), f"{source} max_age_days"
        ),
    )


def _flag(value: object, name: str) -> bool:
    if not isinstance(value, bool):
        raise PolicyError(f"{name} must be true or false, not {value!r}")
    return value


def _number(value: object, name: str) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf:
        return float(value)
    raise PolicyError(f"{name} must be a number of at least 0, not {value!r}")


def _webhook(value: object, name: str) -> str | None:
    if value is None:
        return None
    # The value may be a secret: it is never repeated in a message.
    expected = "must be an http(s) URL, or $NAME of the environment variable that holds one"
    if not isinstance(value, str):
        raise PolicyError(f"{name} {expected}")
    if not _VARIABLE.fullmatch(value):
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise PolicyError(f"{name} {expected}")
    return value
