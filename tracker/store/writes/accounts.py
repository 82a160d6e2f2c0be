"""Who may do what in the dashboard."""

from __future__ import annotations

import re
from datetime import datetime

from sqlalchemy import delete, insert

from tracker.domain import Role
from tracker.errors import UsageError
from tracker.store import tables as t
from tracker.store.transaction import Transaction

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")


def add_account(tx: Transaction, email: str, role: Role, *, by: str, now: datetime) -> None:
    """Give an e-mail address a role, in the place of the one it had.

    Raises:
        UsageError: It is no e-mail address.
    """
    address = email.strip().lower()
    if not _EMAIL.fullmatch(address) or not address.isprintable() or len(address) > 320:
        raise UsageError(f"{email[:80]!r} is no e-mail address")
    tx.conn.execute(delete(t.account).where(t.account.c.email == address))
    row = {"email": address, "role": role, "added_at": now, "added_by": by}
    tx.conn.execute(insert(t.account).values(**row))


def remove_account(tx: Transaction, email: str) -> None:
    """Take an e-mail address its role.

    Raises:
        UsageError: It has none.
    """
    address = email.strip().lower()
    gone = tx.conn.execute(delete(t.account).where(t.account.c.email == address))
    if gone.rowcount == 0:
        raise UsageError(f"no user {address!r} in the store; see: tracker user list")
