"""The places that messages go to: a console stream, a webhook, mail, issues."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TextIO
from urllib.parse import urlsplit

from tracker.alerts.config import AlertsConfig
from tracker.alerts.email import EmailSink
from tracker.alerts.failure import DeliveryError, TransientError
from tracker.alerts.issues import IssueSink
from tracker.alerts.message import Message
from tracker.alerts.payload import webhook_payload
from tracker.alerts.post import post_json

__all__ = ["CONSOLE", "ConsoleSink", "Sink", "WebhookSink", "sinks_of"]

CONSOLE = "console"


class Sink(Protocol):
    """Somewhere a message is sent to."""

    @property
    def name(self) -> str: ...

    def send(self, message: Message, reference: str | None) -> str | None:
        """Deliver `message`, or raise DeliveryError saying why not.

        Args:
            message: What to say.
            reference: What the place called the alert when it got an earlier message.

        Returns:
            What the place calls the alert, where it has a name for it.
        """


@dataclass(frozen=True, slots=True)
class ConsoleSink:
    """Prints a message on a text stream."""

    stream: TextIO

    @property
    def name(self) -> str:
        return CONSOLE

    def send(self, message: Message, reference: str | None) -> None:
        lines = [
            f"alert {message.alert.id} [{message.alert.project}] {message.title}",
            *message.text.splitlines(),
        ]
        try:
            self.stream.write("\n  ".join(lines) + "\n")
            self.stream.flush()
        except (OSError, ValueError) as error:
            raise DeliveryError(str(error)) from error


@dataclass(frozen=True, slots=True)
class WebhookSink:
    """POSTs a message as JSON.

    Attributes:
        url: Where to, or None where the environment variable is not set.
        variable: Name of that variable, for the message.
        allow_private: Whether the address may be a private one.
        timeout: Seconds that one try may take in all, name resolution included.
        tries: How often in all; only what may pass (no connection, timeout, 408, 425, 429, 5xx)
            is tried again.
        backoff: Seconds before the second try; each later wait is twice the one before.
    """

    url: str | None
    variable: str | None = None
    allow_private: bool = False
    timeout: float = 5.0
    tries: int = 3
    backoff: float = 0.5
    sleep: Callable[[float], None] = time.sleep

    @property
    def name(self) -> str:
        return "webhook"

    def send(self, message: Message, reference: str | None) -> None:
        if not self.url:
            raise DeliveryError(f"environment variable {self.variable} is not set")
        if urlsplit(self.url).scheme not in ("http", "https"):
            raise DeliveryError(f"environment variable {self.variable} holds no http(s) URL")
        body = json.dumps(webhook_payload(message), allow_nan=False).encode()
        headers = {"Idempotency-Key": message.delivery_key}
        for attempt in range(self.tries):
            try:
                post_json(
                    self.url,
                    body,
                    headers,
                    deadline=self.timeout,
                    allow_private=self.allow_private,
                )
                return
            except TransientError as error:
                if attempt + 1 == self.tries:
                    raise DeliveryError(f"{error}, {self.tries} tries") from error
                self.sleep(self.backoff * 2**attempt)


def sinks_of(
    config: AlertsConfig, *, stream: TextIO, environ: Mapping[str, str] = os.environ
) -> tuple[Sink, ...]:
    """The places that the configuration names; `environ` holds their secrets."""
    sinks: list[Sink] = []
    if config.console:
        sinks.append(ConsoleSink(stream))
    if config.webhook is not None:
        variable = config.webhook_variable
        url = environ.get(variable) if variable else config.webhook
        sinks.append(WebhookSink(url, variable, config.allow_private))
    if config.email is not None:
        sinks.append(EmailSink(config.email, environ))
    if config.github is not None:
        sinks.append(IssueSink("github", config.github, environ, config.allow_private))
    if config.gitlab is not None:
        sinks.append(IssueSink("gitlab", config.gitlab, environ, config.allow_private))
    return tuple(sinks)
