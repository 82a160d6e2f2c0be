"""Tokens of the HTTP service."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from tracker.domain import TokenInfo
from tracker.store import tables as t
from tracker.store.store import Store


def list_tokens(store: Store) -> list[TokenInfo]:
    """Return every token, newest first; expired and revoked ones included."""
    c = t.api_token.c
    with store.reading() as conn:
        rows = conn.execute(select(t.api_token).order_by(c.created_at.desc(), c.id.desc()))
        return [_token_of(row) for row in rows]


def find_token(store: Store, prefix: str) -> tuple[TokenInfo, str] | None:
    """Return the token with this prefix and the digest of its secret; None: there is none."""
    with store.reading() as conn:
        row = conn.execute(select(t.api_token).where(t.api_token.c.prefix == prefix)).first()
    return None if row is None else (_token_of(row), row.digest)


def _token_of(row: Any) -> TokenInfo:
    return TokenInfo(
        row.prefix,
        row.name,
        tuple(row.scopes),
        row.project,
        row.created_at,
        row.expires_at,
        row.revoked_at,
    )
