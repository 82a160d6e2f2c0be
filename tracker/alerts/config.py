"""The `[alerts]` table of pacekeeper.toml."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime, time
from typing import Any, Literal, get_args
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from tracker.errors import PolicyError
from tracker.measure.environment import is_secret
from tracker.toml_table import AT_LEAST_0, INFINITY, Table

__all__ = ["AlertsConfig", "EmailConfig", "IssueConfig", "alerts_config"]

Security = Literal["starttls", "tls", "none"]

_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_QUIET = re.compile(r"(\d{2}:\d{2})-(\d{2}:\d{2})")
_ADDRESS = re.compile(r"[^@\s<>,;]+@[^@\s<>,;]+")
_NUMBERS = ("min_effect", "max_age_days", "cooldown_minutes", "escalate_hours", "silence_hours")


@dataclass(frozen=True, slots=True)
class EmailConfig:
    """Where mail goes to, and through which server.

    Attributes:
        user, password_variable: None: no log-in. The variable holds the password.
    """

    host: str
    sender: str
    to: tuple[str, ...]
    port: int = 587
    security: Security = "starttls"
    user: str | None = None
    password_variable: str | None = None


@dataclass(frozen=True, slots=True)
class IssueConfig:
    """A project on GitHub or GitLab whose issues follow the alerts.

    Attributes:
        place: `OWNER/NAME` on GitHub; the project's path on GitLab.
        token_variable: Name of the environment variable that holds the token.
        url: Of the REST API.
        label: Of every issue that is opened, and by which they are found again.
    """

    place: str
    token_variable: str
    url: str
    label: str = "pacekeeper"


@dataclass(frozen=True, slots=True)
class AlertsConfig:
    """Where alerts go, which findings become one, and when something is sent.

    Attributes:
        console: Print each new alert on standard error.
        webhook: URL to POST each message to, or `$NAME`: the environment variable that holds
            the URL, so that the secret stays out of the file. None: no webhook.
        min_effect: Least |after/before - 1| that alerts, a ratio; an exact metric alerts on
            any change beyond its step.
        max_age_days: Commits older than this, counted back from the newest measured commit,
            do not alert: a history that is imported is not news.
        quiet: From and until when nothing is sent, of `timezone`; it waits. None: never.
        timezone: IANA name.
        cooldown_minutes: Between two batches of messages to one place.
        escalate_hours: A message is repeated when the alert was open for so long, and again when
            that doubled, at most three times. 0: never.
        silence_hours: A machine that measured and then did not for so long is an alert. 0: never.
        recovery: Send a message when an alert that was sent is closed.
        allow_private: Whether messages may go to private addresses over HTTP.
        email, github, gitlab: Further places; None: not there.
    """

    console: bool = True
    webhook: str | None = None
    min_effect: float = 0.01
    max_age_days: float = 30.0
    quiet: tuple[time, time] | None = None
    timezone: str = "UTC"
    cooldown_minutes: float = 0.0
    escalate_hours: float = 72.0
    silence_hours: float = 168.0
    recovery: bool = True
    allow_private: bool = False
    email: EmailConfig | None = None
    github: IssueConfig | None = None
    gitlab: IssueConfig | None = None

    @property
    def webhook_variable(self) -> str | None:
        """Name of the environment variable that holds the URL; None where it is written out."""
        return _variable_name(self.webhook or "")

    def is_quiet(self, now: datetime) -> bool:
        """Return whether nothing is sent at this moment."""
        if self.quiet is None:
            return False
        begin, end = self.quiet
        clock = now.astimezone(ZoneInfo(self.timezone)).time()
        return begin <= clock < end if begin <= end else clock >= begin or clock < end


def alerts_config(table: Table) -> AlertsConfig:
    """Return what an `[alerts]` table says.

    Raises:
        PolicyError: An unknown key, or a value of the wrong kind or out of range.
    """
    table.require_known([item.name for item in fields(AlertsConfig)])
    given: dict[str, Any] = _timezone(table) | {
        key: value
        for name in ("console", "recovery", "allow_private")
        for key, value in table.flag(name).items()
    }
    for name in _NUMBERS:
        given |= table.number(name, AT_LEAST_0, INFINITY)
    below = table.source.removesuffix("]")
    return AlertsConfig(
        **given,
        webhook=_webhook(table),
        quiet=_quiet(table),
        email=_email(table, f"{below}.email]"),
        github=_issues(table, "github", f"{below}.github]"),
        gitlab=_issues(table, "gitlab", f"{below}.gitlab]"),
    )


def _webhook(table: Table) -> str | None:
    value = table.content.get("webhook")
    if value is None:
        return None
    # The value may be a secret: it is never repeated in a message.
    if isinstance(value, str):
        if _VARIABLE.fullmatch(value):
            return value
        if is_secret("", value):
            raise PolicyError(
                f"{table.source} webhook is a secret; put it into an environment variable and that "
                "variable's $NAME here"
            )
        parts = urlsplit(value)
        if parts.scheme in ("http", "https") and parts.hostname:
            return value
    raise PolicyError(
        f"{table.source} webhook must be an http(s) URL, or $NAME of the environment variable "
        "that holds one"
    )


def _quiet(table: Table) -> tuple[time, time] | None:
    for text in table.text("quiet").values():
        match = _QUIET.fullmatch(text)
        try:
            if match is None:
                raise ValueError
            begin, end = (time.fromisoformat(part) for part in match.groups())
        except ValueError:
            raise PolicyError(
                f'{table.source} quiet must be two times of day such as "22:00-07:00", not {text!r}'
            ) from None
        if begin == end:
            raise PolicyError(f"{table.source} quiet {text!r} begins when it ends")
        return begin, end
    return None


def _timezone(table: Table) -> dict[str, str]:
    given = table.text("timezone")
    for name in given.values():
        try:
            ZoneInfo(name)
        except (ValueError, OSError, KeyError):
            raise PolicyError(
                f'{table.source} timezone {name!r} is unknown; give a name such as "Europe/Berlin"'
            ) from None
    return given


def _email(alerts: Table, source: str) -> EmailConfig | None:
    if "email" not in alerts.content:
        return None
    known = ("host", "port", "security", "user", "password", "from", "to")
    table = alerts.table("email", source, known)
    texts: dict[str, Any] = table.text("host") | table.text("from")
    texts |= table.texts("to")
    _require(table, texts, ("host", "from", "to"))
    for address in (texts["from"], *texts["to"]):
        if not _ADDRESS.fullmatch(address):
            raise PolicyError(f"{source}: {address!r} is no e-mail address")
    how: dict[str, Any] = table.count("port") | table.choice("security", get_args(Security))
    if how.get("port", 1) > 65535:
        raise PolicyError(f"{source} port must be at most 65535")
    variable = _variable(table, "password")
    user = table.text("user").get("user")
    if (user is None) is not (variable is None):
        raise PolicyError(f"{source} user and password belong together; give both or neither")
    if user is not None and how.get("security") == "none":
        raise PolicyError(f'{source} security = "none" would send the password in the clear')
    return EmailConfig(
        host=texts["host"],
        sender=texts["from"],
        to=texts["to"],
        **how,
        user=user,
        password_variable=variable,
    )


def _issues(alerts: Table, key: Literal["github", "gitlab"], source: str) -> IssueConfig | None:
    if key not in alerts.content:
        return None
    place_key, default = {
        "github": ("repository", "https://api.github.com"),
        "gitlab": ("project", "https://gitlab.com/api/v4"),
    }[key]
    table = alerts.table(key, source, (place_key, "token", "url", "label"))
    texts = table.text(place_key) | table.text("url") | table.text("label")
    variable = _variable(table, "token")
    _require(table, texts | ({"token": variable} if variable else {}), (place_key, "token"))
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)+", texts[place_key]):
        raise PolicyError(f"{source} {place_key} must be OWNER/NAME, not {texts[place_key]!r}")
    url = texts.get("url", default)
    if urlsplit(url).scheme != "https":
        raise PolicyError(f"{source} url must be an https address: the token goes there")
    label = {"label": texts["label"]} if "label" in texts else {}
    assert variable is not None
    return IssueConfig(texts[place_key], variable, url, **label)


def _require(table: Table, given: Mapping[str, object], keys: tuple[str, ...]) -> None:
    for key in keys:
        if key not in given:
            raise PolicyError(f"{table.source} needs {key}")


def _variable(table: Table, key: str) -> str | None:
    """The name of the environment variable that a key names: a secret never stands in the file."""
    value = table.content.get(key)
    if value is None:
        return None
    name = _variable_name(value) if isinstance(value, str) else None
    if name is None:
        raise PolicyError(
            f"{table.source} {key} must be $NAME of the environment variable that holds it"
        )
    return name


def _variable_name(text: str) -> str | None:
    match = _VARIABLE.fullmatch(text)
    return (match[1] or match[2]) if match else None
