"""One POST with a deadline, to a public address unless private ones are allowed.

The address is looked up once, checked, and connected to as it was checked: a name that resolves
differently a moment later leads nowhere else.
"""

from __future__ import annotations

import ipaddress
import queue
import socket
import threading
from collections.abc import Callable, Mapping
from typing import TypeVar
from urllib.request import getproxies, proxy_bypass

import httpx

from tracker.alerts.failure import DeliveryError, TransientError

__all__ = ["allowed_address", "post_json", "within"]

T = TypeVar("T")

_RETRIED = frozenset({408, 425, 429})  # beside every 5xx: the same request may work later


def post_json(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    deadline: float,
    allow_private: bool,
) -> None:
    """POST JSON; return once it was answered with success.

    Args:
        url: http(s); never repeated in a message, since it may be a secret.
        body: What to send.
        headers: In addition to the type.
        deadline: Seconds for all of it, name resolution included.
        allow_private: Whether the address may be one of this machine or of a private network.

    Raises:
        TransientError: No connection, no answer in time, 408, 425, 429 or 5xx.
        DeliveryError: Anything else; a redirect is not followed.
    """
    within(deadline, lambda: _post(url, body, headers, deadline, allow_private))


def within(deadline: float, act: Callable[[], T]) -> T:
    """Return what `act` returns, or raise what it raises; give it up after `deadline` seconds.

    Timeouts of a socket count from its last byte, and name resolution has none: the clock is kept
    from outside, in a thread that is left to itself.

    Raises:
        TransientError: It did not end in time.
    """
    outcome: queue.SimpleQueue[tuple[T | None, Exception | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            outcome.put((act(), None))
        except Exception as error:  # lost in a thread, it would read as delivered
            outcome.put((None, error))

    threading.Thread(target=run, daemon=True, name="pacekeeper-delivery").start()
    try:
        answer, error = outcome.get(timeout=deadline)
    except queue.Empty:
        raise TransientError(f"no answer within {deadline:g} s") from None
    if isinstance(error, DeliveryError):
        raise error
    if error is not None:
        raise DeliveryError(type(error).__name__) from None
    return answer  # type: ignore[return-value]


def allowed_address(host: str, port: int, *, allow_private: bool) -> str:
    """Return an address of `host` that may be connected to.

    Raises:
        DeliveryError: It has private addresses and none of these is allowed.
        TransientError: The name cannot be resolved.
    """
    try:
        entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise TransientError(f"no connection: {error.strerror or 'name not found'}") from None
    addresses = [str(entry[4][0]) for entry in entries]
    if not allow_private and not all(_is_public(address) for address in addresses):
        raise DeliveryError(
            "the host has a private address; [alerts] allow_private = true allows it"
        )
    return addresses[0]


def _is_public(address: str) -> bool:
    parsed = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(parsed, "ipv4_mapped", None)
    return (mapped or parsed).is_global and not parsed.is_multicast


def _post(
    url: str, body: bytes, headers: Mapping[str, str], deadline: float, allow_private: bool
) -> None:
    try:
        target = httpx.URL(url)
        port = target.port or {"http": 80, "https": 443}[target.scheme]
    except (httpx.InvalidURL, KeyError, ValueError, TypeError):
        raise DeliveryError("the URL cannot be used") from None
    proxy = None if proxy_bypass(target.host) else getproxies().get(target.scheme)
    request_headers = {"Content-Type": "application/json", "User-Agent": "pacekeeper", **headers}
    extensions: dict[str, object] = {}
    if proxy is None:
        # A proxy resolves names itself and has rules of its own.
        address = allowed_address(target.host, port, allow_private=allow_private)
        request_headers["Host"] = target.netloc.decode("ascii").rpartition("@")[2]
        extensions["sni_hostname"] = target.host
        target = target.copy_with(host=address)
    try:
        with (
            httpx.Client(
                timeout=deadline, follow_redirects=False, trust_env=False, proxy=proxy
            ) as client,
            client.stream(
                "POST", target, content=body, headers=request_headers, extensions=extensions
            ) as response,
        ):
            status = response.status_code
    except httpx.TimeoutException:
        raise TransientError(f"no answer within {deadline:g} s") from None
    except httpx.ConnectError as error:
        raise TransientError(f"no connection: {_reason(error)}") from None
    except httpx.TransportError as error:
        raise TransientError(f"connection broke: {type(error).__name__}") from None
    except (httpx.InvalidURL, httpx.HTTPError, ValueError):
        raise DeliveryError("the URL cannot be used") from None
    if status >= 300:
        kind = TransientError if status in _RETRIED or status >= 500 else DeliveryError
        raise kind(f"HTTP status {status}")


def _reason(error: BaseException) -> str:
    """What the system says of a connection that failed, without the address."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.strerror:
            return seen.strerror
        seen = seen.__cause__ or seen.__context__
    return type(error).__name__
