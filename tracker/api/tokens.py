"""Tokens: made once, shown once, kept as a digest. Pure.

``pkt_<prefix>_<secret>``: the prefix identifies a token in lists and is no secret; the secret is 256
random bits, so that one SHA-256 protects it as well as a slow hash would.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from tracker.domain import TokenInfo, TokenScope

__all__ = ["NewToken", "RefusedTokenError", "Stored", "check", "new_token", "prefix_of"]

Stored = tuple[TokenInfo, str]  # with the digest of its secret

_FORM = re.compile(r"pkt_([0-9a-f]{8})_([A-Za-z0-9_-]{43})")
_NO_DIGEST = "0" * 64  # compared with where there is no token, so that both take the same time


class RefusedTokenError(Exception):
    """A token that opens nothing; the message says why to its holder."""


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token on its way to its holder: what is shown once, and what is kept."""

    text: str
    info: TokenInfo
    digest: str


def new_token(
    name: str,
    scopes: tuple[TokenScope, ...],
    project: str | None,
    *,
    now: datetime,
    lifetime: timedelta,
) -> NewToken:
    """Return a random token that expires `lifetime` after `now`."""
    prefix, secret = secrets.token_hex(4), secrets.token_urlsafe(32)
    info = TokenInfo(prefix, name, scopes, project, now, now + lifetime)
    return NewToken(f"pkt_{prefix}_{secret}", info, _digest(secret))


def prefix_of(text: str) -> str | None:
    """Return the prefix by which a token is looked up; None: it is no token."""
    match = _FORM.fullmatch(text)
    return match[1] if match else None


def check(text: str, stored: Stored | None, *, now: datetime) -> TokenInfo:
    """Return what a token stands for.

    Args:
        text: What the request carries.
        stored: What the store holds under its prefix; None: nothing.
        now: For its expiry.

    Raises:
        RefusedTokenError: Unknown, wrong, revoked or expired. Only the holder of the secret
            learns which of the last two.
    """
    match = _FORM.fullmatch(text)
    digest = _digest(match[2] if match else "")
    is_right = hmac.compare_digest(digest, stored[1] if stored else _NO_DIGEST)
    if match is None or stored is None or not is_right:
        raise RefusedTokenError("the token is unknown")
    state = stored[0].state(now)
    if state != "active":
        raise RefusedTokenError(f"the token is {state}; make one with: tracker token create")
    return stored[0]


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
