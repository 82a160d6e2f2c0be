"""The only place from which the dashboard writes: each write asks the store what its user may do.

Who the user is comes from Streamlit's log-in (`st.user`) and never from a page, so that no page,
and no state that a browser sends, can write in another's name. Without a log-in, with an address
that the provider has not verified, or without a role in the store, nobody writes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import get_args

import streamlit as st

from dashboard import data
from tracker.alerts import alert_for_finding
from tracker.domain import JobKind, Role
from tracker.errors import PacekeeperError, UsageError
from tracker.requests import request, request_fix
from tracker.store import Store, queries
from tracker.stored_findings import triaged_at
from tracker.triage import Act, Triaged

__all__ = [
    "ForbiddenError",
    "User",
    "add_user",
    "ask_for",
    "check_fix",
    "login_is_configured",
    "open_alert",
    "remove_user",
    "triage",
    "user",
]

_RANK: tuple[Role, ...] = get_args(Role)  # each may do what the one before may


class ForbiddenError(PacekeeperError):
    """The user may not do this; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class User:
    """Who looks at the page.

    Attributes:
        email: Verified by the provider; None: not logged in, or not verified.
        role: In the store; "reader" where it has none.
        reason: Why the user may only read; empty where more is allowed.
    """

    email: str | None
    role: Role
    reason: str = ""

    def may(self, role: Role) -> bool:
        """Whether the user may do what `role` may."""
        return _RANK.index(self.role) >= _RANK.index(role)


def login_is_configured() -> bool:
    """Whether secrets.toml names a provider to log in with."""
    return "is_logged_in" in st.user.to_dict()


def user() -> User:
    """Who looks at the page, for what is drawn; each write asks again."""
    email, reason = _email()
    if email is None:
        return User(None, "reader", reason)
    return _user(email, data.role(email))


def triage(alert_ids: Sequence[int], act: Act) -> None:
    """Do one thing to each alert, all or none, in the name of the user.

    Raises:
        ForbiddenError: The user may only read.
        UsageError: It cannot be done to one of them.
        StoreError: The store failed.
    """
    with _writing("triager") as (store, by):
        store.triage(alert_ids, act, by=by, now=datetime.now(UTC))


def open_alert(project: str, commit: str, machine: str) -> int:
    """Open the alert of a finding that has none; return its id.

    Raises:
        ForbiddenError: The user may only read.
        UsageError: Nothing moved at the commit on the machine.
        StoreError: The store failed.
    """
    with _writing("triager") as (store, _):
        item = _item(store, project, commit, machine, None)
        return alert_for_finding(store, item.finding).id


def ask_for(kind: JobKind, project: str, commit: str, machine: str, alert_id: int | None) -> bool:
    """Queue a paired run or a bisection of a finding; return whether it was not queued before.

    Raises:
        ForbiddenError: The user may only read.
        UsageError: There is nothing to measure against.
        StoreError: The store failed.
    """
    with _writing("triager") as (store, by):
        item = _item(store, project, commit, machine, alert_id)
        return request(store, item, kind, by=by, now=datetime.now(UTC))[1]


def check_fix(project: str, commit: str, machine: str, alert_id: int, fix: str) -> bool:
    """Keep which commit fixes an alert and queue its check; return whether it was not queued.

    Raises:
        ForbiddenError: The user may only read.
        UsageError: `fix` is no commit, or there is nothing to measure against.
        StoreError: The store failed.
    """
    with _writing("triager") as (store, by):
        item = _item(store, project, commit, machine, alert_id)
        return request_fix(store, item, fix, by=by, now=datetime.now(UTC))[1]


def add_user(email: str, role: Role) -> None:
    """Give an e-mail address a role.

    Raises:
        ForbiddenError: The user is no admin.
        UsageError: It is no e-mail address.
        StoreError: The store failed.
    """
    with _writing("admin") as (store, by):
        store.add_account(email, role, by=by, now=datetime.now(UTC))


def remove_user(email: str) -> None:
    """Take an e-mail address its role.

    Raises:
        ForbiddenError: The user is no admin.
        UsageError: It has none.
        StoreError: The store failed.
    """
    with _writing("admin") as (store, _):
        store.remove_account(email)


@contextmanager
def _writing(role: Role) -> Iterator[tuple[Store, str]]:
    """The store open for writing, and the address of the user, who may do what `role` may."""
    email, reason = _email()
    if email is None:
        raise ForbiddenError(reason)
    try:
        with Store.open(data.store_url(), create=False) as store:
            known = _user(email, queries.role_of(store, email))
            if not known.may(role):
                raise ForbiddenError(known.reason or f"{email} is {known.role}; this needs {role}")
            yield store, email
    finally:
        data.forget_stamp()


def _email() -> tuple[str | None, str]:
    """The verified address of who is logged in, or None and why there is none."""
    claims = st.user.to_dict()
    if claims.get("is_logged_in") is not True:
        return None, "Without a log-in this dashboard is read-only."
    email = claims.get("email")
    if not isinstance(email, str) or not email.strip():
        return None, "The log-in names no e-mail address, so it carries no rights."
    if claims.get("email_verified") is not True:
        return (
            None,
            f"The provider has not verified {email.strip()[:320]}, so it carries no rights.",
        )
    return email.strip().lower(), ""


def _user(email: str, role: Role | None) -> User:
    if role is None:
        return User(email, "reader", f"{email} has no role here. An admin runs: tracker user add")
    return User(email, role, f"{email} is reader." if role == "reader" else "")


def _item(store: Store, project: str, commit: str, machine: str, alert_id: int | None) -> Triaged:
    """The finding of an alert, or the one of a machine that has none."""
    for item in triaged_at(store, project, commit):
        if item.finding.machine == machine and (item.alert.id if item.alert else None) == alert_id:
            return item
    raise UsageError(
        f"nothing moved at {commit[:12]} on {machine}, or somebody changed it meanwhile; "
        "reload the page"
    )
