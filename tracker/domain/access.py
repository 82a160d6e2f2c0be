"""Who may do what: accounts of the dashboard, tokens of the HTTP service."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Role = Literal["reader", "triager", "admin"]
TokenScope = Literal["ingest", "read", "settings"]


@dataclass(frozen=True, slots=True)
class AccountInfo:
    """What an e-mail address may do in the dashboard."""

    email: str
    role: Role
    added_at: datetime
    added_by: str


@dataclass(frozen=True, slots=True)
class TokenInfo:
    """A token of the HTTP service: who it was made for, and what its holder may do until when.

    Attributes:
        prefix: Its second part, which identifies it; no secret.
        project: The only project that it opens; None: every project.
    """

    prefix: str
    name: str
    scopes: tuple[TokenScope, ...]
    project: str | None
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None

    def state(self, now: datetime) -> Literal["active", "expired", "revoked"]:
        """Return whether the token still opens anything."""
        if self.revoked_at is not None:
            return "revoked"
        return "active" if now < self.expires_at else "expired"
