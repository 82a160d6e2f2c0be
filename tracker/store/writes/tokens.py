"""Tokens of the HTTP service: made once, revoked once, never changed."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

from sqlalchemy import func, update

from tracker.domain import TokenInfo
from tracker.errors import UsageError
from tracker.store import tables as t
from tracker.store.transaction import Transaction


def record_token(tx: Transaction, token: TokenInfo, *, digest: str) -> None:
    """Keep a new token; `digest` is the SHA-256 of its secret, in hex."""
    tx.insert(t.api_token, asdict(token) | {"scopes": list(token.scopes), "digest": digest})


def revoke_token(tx: Transaction, prefix: str, *, now: datetime) -> None:
    """Revoke a token for good; the time of an earlier revocation is kept.

    Raises:
        UsageError: No such token.
    """
    c = t.api_token.c
    changed = tx.conn.execute(
        update(t.api_token)
        .where(c.prefix == prefix)
        .values(revoked_at=func.coalesce(c.revoked_at, now))
    )
    if changed.rowcount == 0:
        raise UsageError(f"no token {prefix!r} in the store; see: tracker token list")
