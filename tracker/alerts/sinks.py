"""The two places an alert is sent to: a console stream and a webhook."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPException
from typing import Protocol, TextIO
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from tracker.alerts.config import AlertsConfig
from tracker.alerts.payload import webhook_payload
from tracker.domain import AlertInfo

__all__ = ["ConsoleSink", "DeliveryError", "Sink", "WebhookSink", "sinks_of"]

_RETRIED = frozenset({408, 425, 429})  # beside every 5xx: the same request may work later


class DeliveryError(Exception):
    """An alert did not arrive; the message never holds the webhook's URL, which is a secret."""


class _TransientError(DeliveryError):
    pass


class Sink(Protocol):
    """Somewhere an alert is sent to."""

    @property
    def name(self) -> str: ...

    def send(self, alert: AlertInfo) -> None:
        """Deliver `alert`, or raise DeliveryError saying why not."""


@dataclass(frozen=True, slots=True)
class ConsoleSink:
    """Prints an alert on a text stream."""

    stream: TextIO

    @property
    def name(self) -> str:
        return "console"

    def send(self, alert: AlertInfo) -> None:
        lines = [f"alert {alert.id} [{alert.project}] {alert.title}", *alert.detail.splitlines()]
        try:
            self.stream.write("\n  ".join(lines) + "\n")
            self.stream.flush()
        except (OSError, ValueError) as error:
            raise DeliveryError(str(error)) from error


@dataclass(frozen=True, slots=True)
class WebhookSink:
    """POSTs an alert as JSON.

    Attributes:
        url: Where to, or None where the environment variable is not set.
        variable: Name of that variable, for the message.
        timeout: Seconds that one try may take in all, name resolution included.
        tries: How often in all; only what may pass (no connection, timeout, 408, 425, 429, 5xx)
            is tried again.
        backoff: Seconds before the second try; each later wait is twice the one before.
    """

    url: str | None
    variable: str | None = None
    timeout: float = 5.0
    tries: int = 3
    backoff: float = 0.5
    sleep: Callable[[float], None] = time.sleep

    @property
    def name(self) -> str:
        return "webhook"

    def send(self, alert: AlertInfo) -> None:
        if not self.url:
            raise DeliveryError(f"environment variable {self.variable} is not set")
        if urlsplit(self.url).scheme not in ("http", "https"):
            raise DeliveryError(f"environment variable {self.variable} holds no http(s) URL")
        body = json.dumps(webhook_payload(alert), allow_nan=False).encode()
        for attempt in range(self.tries):
            try:
                self._post(self.url, body)
                return
            except _TransientError as error:
                if attempt + 1 == self.tries:
                    raise DeliveryError(f"{error}, {self.tries} tries") from error
                self.sleep(self.backoff * 2**attempt)

    def _post(self, url: str, body: bytes) -> None:
        # A socket's timeout counts from the last byte, so that a server that drips would hold a
        # measurement for hours, and name resolution has none: the deadline is kept from outside.
        failure: list[DeliveryError] = []

        def run() -> None:
            try:
                _request(url, body, self.timeout)
            except DeliveryError as error:
                failure.append(error)
            except Exception as error:  # lost in a thread, it would read as delivered
                failure.append(DeliveryError(type(error).__name__))

        worker = threading.Thread(target=run, daemon=True, name="pacekeeper-webhook")
        worker.start()
        worker.join(self.timeout)
        if worker.is_alive():
            raise _TransientError(f"no answer within {self.timeout:g} s")
        if failure:
            raise failure[0]


def sinks_of(
    config: AlertsConfig, *, stream: TextIO, environ: Mapping[str, str] = os.environ
) -> tuple[Sink, ...]:
    """The sinks that the configuration asks for; `environ` holds the webhook's secret."""
    sinks: list[Sink] = []
    if config.console:
        sinks.append(ConsoleSink(stream))
    if config.webhook is not None:
        variable = config.webhook_variable
        url = environ.get(variable) if variable else config.webhook
        sinks.append(WebhookSink(url, variable=variable))
    return tuple(sinks)


def _request(url: str, body: bytes, timeout: float) -> None:
    try:
        request = Request(
            url,
            data=body,
            method="POST",
            headers={"Content-Type": "application/json", "User-Agent": "pacekeeper"},
        )
        with urlopen(request, timeout=timeout):
            return
    except HTTPError as error:
        with error:
            kind = _TransientError if error.code in _RETRIED or error.code >= 500 else DeliveryError
            raise kind(f"HTTP status {error.code}") from None
    except URLError as error:
        raise _TransientError(f"no connection: {_reason(error.reason)}") from None
    except TimeoutError:
        raise _TransientError(f"no answer within {timeout:g} s") from None
    except (OSError, HTTPException) as error:
        raise _TransientError(f"connection broke: {type(error).__name__}") from None
    except ValueError:
        raise DeliveryError("the URL cannot be used") from None


def _reason(reason: object) -> str:
    if isinstance(reason, OSError) and reason.strerror:
        return reason.strerror
    return type(reason).__name__ if isinstance(reason, BaseException) else str(reason)
