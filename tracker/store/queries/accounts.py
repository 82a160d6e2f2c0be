"""Who may do what in the dashboard."""

from __future__ import annotations

from sqlalchemy import select

from tracker.domain import AccountInfo, Role
from tracker.store import tables as t
from tracker.store.store import Store

_c = t.account.c


def list_accounts(store: Store) -> list[AccountInfo]:
    """Return every account, by e-mail address."""
    with store.reading() as conn:
        statement = select(_c.email, _c.role, _c.added_at, _c.added_by).order_by(_c.email)
        return [AccountInfo(*row) for row in conn.execute(statement)]


def role_of(store: Store, email: str) -> Role | None:
    """Return the role of an e-mail address; None: it has none. Upper and lower case are the same."""
    with store.reading() as conn:
        statement = select(_c.role).where(_c.email == email.strip().lower())
        role: Role | None = conn.execute(statement).scalar()
        return role
