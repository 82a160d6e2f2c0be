"""Logging in and out, what one may do, and, for an admin, who else may do what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

import pandas as pd
import streamlit as st

from dashboard import data, writes
from dashboard.markup import code, plain
from dashboard.triage_panel import attempt
from tracker.domain import Role


def draw() -> None:
    """Draw the page."""
    st.title("Account", anchor=False)
    user = writes.user()
    if not writes.login_is_configured():
        st.info(
            "This dashboard has no log-in, so it is read-only. `secrets.toml` names a provider "
            "(docs/dashboard.md); `tracker alerts` triages from the command line.",
            icon=":material/lock:",
        )
    elif st.user.to_dict().get("is_logged_in") is True:
        _logged_in(user)
    else:
        _log_in()
    if user.may("admin"):
        _users()


def _log_in() -> None:
    st.markdown("Everybody may read. Log in to triage findings and to ask for measurements.")
    section = st.secrets.get("auth", {})
    named = [name for name, value in section.items() if isinstance(value, Mapping)]
    if "client_id" in section:
        st.button("Log in", type="primary", key="login", on_click=st.login)
    for name in named:
        st.button(
            f"Log in with {name}",
            type="primary",
            key=f"login:{name}",
            on_click=st.login,
            args=(name,),
        )


def _logged_in(user: writes.User) -> None:
    who = user.email or str(st.user.to_dict().get("email") or "somebody without an address")
    st.markdown(f"Logged in as {code(who)}, who is **{user.role}**.")
    if user.reason:
        st.warning(plain(user.reason), icon=":material/lock:")
    st.button("Log out", key="logout", on_click=st.logout)


def _users() -> None:
    st.subheader("Users", anchor=False)
    accounts = data.accounts()
    frame = pd.DataFrame(
        {
            "e-mail": [account.email for account in accounts],
            "role": [account.role for account in accounts],
            "since": [account.added_at.strftime("%Y-%m-%d %H:%M") for account in accounts],
            "by": [account.added_by for account in accounts],
        }
    )
    st.dataframe(frame, hide_index=True, key="users")
    add, remove = st.columns(2)
    with add, st.form("add-user"):
        email = st.text_input("E-mail address", key="add:email")
        role: Role = st.selectbox("Role", get_args(Role), index=1, key="add:role")
        if st.form_submit_button("Give the role"):
            attempt(lambda: writes.add_user(email, role), f"{email.strip()[:80]} is {role}")
    with remove, st.form("remove-user"):
        leaver = st.selectbox(
            "User", [account.email for account in accounts], index=None, key="remove:email"
        )
        if st.form_submit_button("Take the role away") and leaver:
            attempt(lambda: writes.remove_user(leaver), f"{leaver} may read")


draw()
