"""What answers at a URL: its models, its kind and version, what it takes. Asked once, before the load."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tracker.errors import MeasurementError, UsageError, did_you_mean
from tracker.load.http.client import Exchange, HttpSession, exchange, failure_of
from tracker.load.http.failure import RequestFailure

__all__ = ["ServerInfo", "ask", "explain", "get"]

TIMEOUT = 20.0  # seconds for a question that needs no model


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """What answered.

    Attributes:
        kind: ``"vllm"``, ``"sglang"``, ``"llama.cpp"``, ``"pacekeeper"`` or ``"unknown"``.
        version: As the server states it; None if it does not.
        model: The model to ask for.
        settings: What the server says of its own arguments; empty where it says nothing.
        vocab_size: Of the model, where the server says it.
    """

    kind: str
    version: str | None
    model: str
    settings: dict[str, Any] = field(default_factory=dict)
    vocab_size: int | None = None


async def get(session: HttpSession, url: str) -> tuple[int, bytes]:
    """Return status and body of ``url``.

    Raises:
        MeasurementError: Nothing answers; says why.
    """
    try:
        async with asyncio.timeout(TIMEOUT), session.http.get(url, allow_redirects=False) as reply:
            return reply.status, await reply.read()
    except TimeoutError as error:
        raise MeasurementError(f"{url}: no answer within {TIMEOUT:g} s") from error
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise MeasurementError(explain(url, failure_of(error))) from error


async def ask(session: HttpSession, base: str, model: str | None) -> ServerInfo:
    """Return what answers at ``base``.

    Args:
        session: With the headers that the server wants.
        base: URL without ``/v1``.
        model: The model to use; None: the only one there is.

    Raises:
        MeasurementError: Nothing answers, or it is no OpenAI-compatible server.
        UsageError: The server has no such model, or several and none was named.
    """
    url = f"{base}/v1/models"
    status, body = await get(session, url)
    if status != 200:
        raise MeasurementError(
            explain(url, RequestFailure("status", f"HTTP {status}: {_shown(body)}"))
        )
    entries = _json(body).get("data")
    if not isinstance(entries, list):
        raise MeasurementError(f"{url}: not a list of models, so not an OpenAI-compatible server")
    models = {str(e["id"]): e for e in entries if isinstance(e, dict) and "id" in e}
    chosen = model
    if chosen is None:
        if len(models) != 1:
            raise UsageError(
                f"{base} serves {len(models)} models; name one of: {', '.join(models)}"
            )
        (chosen,) = models
    elif chosen not in models:
        # Some servers answer for any name, with whatever model they have.
        raise UsageError(f"{base} has no model {chosen!r}; {did_you_mean(chosen, models)}")
    entry = models[chosen]
    kind, version, settings = await _identify(session, base, entry)
    size = entry.get("vocab_size") or (entry.get("meta") or {}).get("n_vocab")
    return ServerInfo(kind, version, chosen, settings, size if isinstance(size, int) else None)


async def _identify(
    session: HttpSession, base: str, entry: dict[str, Any]
) -> tuple[str, str | None, dict[str, Any]]:
    owner = str(entry.get("owned_by", ""))
    if owner == "pacekeeper":
        return "pacekeeper", entry.get("version"), dict(entry.get("settings") or {})
    if owner == "llamacpp":
        status, body = await get(session, f"{base}/props")
        settings = _json(body) if status == 200 else {}
        version = settings.pop("build_info", None)
        settings.pop("chat_template", None)
        return "llama.cpp", version, settings
    if owner == "sglang":
        status, body = await get(session, f"{base}/get_server_info")
        settings = _json(body) if status == 200 else {}
        settings.pop("internal_states", None)
        return "sglang", settings.pop("version", None), settings
    status, body = await get(session, f"{base}/version")
    version = _json(body).get("version") if status == 200 else None
    kind = "vllm" if owner == "vllm" else "unknown"
    return kind, None if version is None else str(version), {}


_MENDS = {
    "refused": "is the server up, and is this its address?",
    "tls": "give the authority's certificate (--ca FILE), or http:// if the server has no TLS",
    "status 400": "a server that takes no token ids needs a workload with text = true",
    "status 401": "give a key: --api-key-env NAME, the environment variable that holds it",
    "status 403": "the key is not allowed here",
    "status 404": "the URL is that of the server, without /v1 and what follows",
    "status 429": "the server limits requests; lower the load, or raise its limit",
    "status 500": "the server's log says more",
}


def explain(url: str, failure: RequestFailure) -> str:
    """Return one sentence for a failure: where, what, and what to do."""
    key: str = failure.kind
    if key == "status":
        key = f"status {failure.text.removeprefix('HTTP ')[:3]}"
    mend = _MENDS.get(key)
    return f"{url}: {failure}" + (f" ({mend})" if mend else "")


async def refused_fields(
    session: HttpSession, url: str, body_with: Any, optional: tuple[str, ...]
) -> frozenset[str]:
    """Send a short request and return which of the optional fields the server does not take.

    Args:
        session: Where to.
        url: Of the endpoint.
        body_with: Makes the body without the fields it is given.
        optional: In the order in which they are given up.

    Raises:
        MeasurementError: The server refuses the request whatever is left out.
    """
    refused: set[str] = set()
    while True:
        item = Exchange(session.clock())
        await exchange(session, url, body_with(frozenset(refused)), item)
        failure = item.failure
        if failure is None:
            return frozenset(refused)
        left = [name for name in optional if name not in refused]
        bad_field = failure.kind == "status" and failure.text.startswith(("HTTP 400", "HTTP 422"))
        if not bad_field or not left:
            raise MeasurementError(explain(url, failure))
        named = [name for name in left if name in failure.text]
        refused.update(named or left[:1])


def _json(body: bytes) -> dict[str, Any]:
    try:
        plain = json.loads(body)
    except ValueError:
        return {}
    return plain if isinstance(plain, dict) else {}


def _shown(body: bytes) -> str:
    return body[:200].decode("utf-8", "replace").strip() or "no text"
