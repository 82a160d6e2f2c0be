"""What a triager can do to one alert or to several, drawn wherever alerts are shown.

Every button only asks `dashboard.writes`, which decides whether the user may.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time
from functools import partial

import streamlit as st

from dashboard import data, writes
from dashboard.markup import plain, shortened
from dashboard.units import counted
from tracker.domain import AlertInfo
from tracker.errors import PacekeeperError
from tracker.triage import (
    Act,
    Assign,
    Comment,
    Link,
    Merge,
    MoveCommit,
    SetState,
    Split,
    next_state,
)

__all__ = ["actions", "attempt", "bulk_actions"]

_LABELS = {
    "ack": ("Acknowledge", ":material/visibility:"),
    "resolve": ("Resolve", ":material/task_alt:"),
    "reopen": ("Reopen", ":material/undo:"),
}


def attempt(act: Callable[[], object], done: str) -> None:
    """Write, then draw the page anew; a refusal is a message and nothing is written."""
    try:
        act()
    except PacekeeperError as error:
        st.error(plain(str(error)), icon=":material/block:")
        return
    st.toast(plain(done), icon=":material/check:")
    st.rerun()


def bulk_actions(alerts: Sequence[AlertInfo], *, key: str) -> None:
    """Choose several of `alerts` and triage them together, all or none.

    Args:
        alerts: To choose from.
        key: Of the widgets, unique on the page.
    """
    by_id = {alert.id: alert for alert in alerts}
    chosen = st.multiselect(
        "Findings to triage together",
        list(by_id),
        format_func=lambda number: f"alert {number} · {shortened(by_id[number].title, 90)}",
        key=f"{key}:chosen",
        placeholder="Choose findings",
    )
    if chosen:
        actions([by_id[number] for number in chosen], key=f"{key}:{'-'.join(map(str, chosen))}")


def actions(alerts: Sequence[AlertInfo], *, key: str) -> None:
    """The buttons for all of `alerts` together; for a single one also what only it can do.

    Args:
        alerts: At least one.
        key: Of the widgets, unique on the page.
    """
    ids = [alert.id for alert in alerts]
    name = f"alert {ids[0]}" if len(ids) == 1 else counted(len(ids), "alert")
    (single,) = alerts if len(alerts) == 1 else (None,)

    def act(what: Act, done: str) -> None:
        attempt(lambda: writes.triage(ids, what), f"{name}: {done}")

    with st.container(horizontal=True, gap="small", key=f"triage-{key}"):
        for move, (label, icon) in _LABELS.items():
            if _all_can(alerts, move) and st.button(label, icon=icon, key=f"{key}:{move}"):
                act(SetState(move), label.lower())  # type: ignore[arg-type]
        if _all_can(alerts, "expect"):
            with st.popover("Expect", icon=":material/event_available:", key=f"{key}:expect"):
                _expect(key, act)
        with st.popover("Assign", icon=":material/person_add:", key=f"{key}:assign"):
            _assign(key, alerts, act)
        with st.popover("Issue", icon=":material/link:", key=f"{key}:issue"):
            _issue(key, alerts, act)
        with st.popover("More", icon=":material/more_horiz:", key=f"{key}:more"):
            _comment(key, act)
            _merge(key, alerts, act)
            if single is not None:
                _split(key, single, act)
                _move(key, act)


def _all_can(alerts: Sequence[AlertInfo], move: str) -> bool:
    try:
        for alert in alerts:
            next_state(alert.state, move)  # type: ignore[arg-type]
    except PacekeeperError:
        return False
    return True


def _expect(key: str, act: Callable[[Act, str], None]) -> None:
    with st.form(f"{key}:expect-form", border=False):
        reason = st.text_area("Why the change is accepted", key=f"{key}:reason")
        until: date | None = st.date_input(
            "Until the end of (UTC; empty: for ever)", value=None, key=f"{key}:until"
        )
        if st.form_submit_button("Accept the change"):
            if not reason.strip():
                st.error("Give a reason: a price without one is a regression.")
                return
            end = datetime.combine(until, time.max, UTC).replace(microsecond=0) if until else None
            act(SetState("expect", reason, end), "expected")


def _assign(key: str, alerts: Sequence[AlertInfo], act: Callable[[Act, str], None]) -> None:
    me = writes.user().email
    current = alerts[0].assignee if len(alerts) == 1 else None
    if me and me != current and st.button("Assign to me", key=f"{key}:to-me"):
        act(Assign(me), "assigned to you")
    with st.form(f"{key}:assign-form", border=False):
        to = st.text_input("Name or e-mail address", value=current or "", key=f"{key}:to")
        if st.form_submit_button("Assign"):
            act(Assign(to.strip() or None), "assigned" if to.strip() else "assigned to nobody")


def _issue(key: str, alerts: Sequence[AlertInfo], act: Callable[[Act, str], None]) -> None:
    current = alerts[0].issue if len(alerts) == 1 else None
    with st.form(f"{key}:issue-form", border=False):
        url = st.text_input(
            "URL of the issue (empty: none)",
            value=current or "",
            placeholder="https://",
            key=f"{key}:url",
        )
        if st.form_submit_button("Link"):
            act(Link(url.strip() or None), "issue linked" if url.strip() else "issue removed")


def _comment(key: str, act: Callable[[Act, str], None]) -> None:
    with st.form(f"{key}:comment-form", border=False):
        text = st.text_area("Note", key=f"{key}:note")
        if st.form_submit_button("Add the note"):
            act(Comment(text), "note added")


def _merge(key: str, alerts: Sequence[AlertInfo], act: Callable[[Act, str], None]) -> None:
    ids = {alert.id for alert in alerts}
    project = alerts[0].project
    others = {alert.id: alert for alert in data.open_alerts(project) if alert.id not in ids}
    if not others:
        return
    with st.form(f"{key}:merge-form", border=False):
        into = st.selectbox(
            "Merge into",
            list(others),
            index=None,
            format_func=lambda number: f"alert {number} · {shortened(others[number].title, 90)}",
            key=f"{key}:into",
        )
        if st.form_submit_button("Merge") and into is not None:
            act(Merge(into), f"merged into alert {into}")


def _split(key: str, alert: AlertInfo, act: Callable[[Act, str], None]) -> None:
    if alert.revision is None:
        return
    item = next(
        (
            item
            for item in data.triaged(alert.project, alert.revision.commit)
            if item.alert is not None and item.alert.id == alert.id
        ),
        None,
    )
    if item is None:
        return
    own = [c.series.metric for c in item.finding.changes if c.series.machine == alert.machine]
    if len(set(own)) > 1:
        with st.form(f"{key}:split-form", border=False):
            metrics = st.multiselect("Split off", list(dict.fromkeys(own)), key=f"{key}:metrics")
            if st.form_submit_button("Give them an alert of their own") and metrics:
                act(Split(tuple(metrics)), "split")
    for part in item.merged:
        if st.button(f"Take alert {part.id} out again", key=f"{key}:unmerge:{part.id}"):
            attempt(partial(writes.triage, [part.id], Split()), f"alert {part.id}: on its own")


def _move(key: str, act: Callable[[Act, str], None]) -> None:
    st.markdown("The commit that did it is")
    with st.container(horizontal=True, gap="small"):
        if st.button("one earlier", icon=":material/arrow_back:", key=f"{key}:earlier"):
            act(MoveCommit("earlier"), "moved to the commit before")
        if st.button("one later", icon=":material/arrow_forward:", key=f"{key}:later"):
            act(MoveCommit("later"), "moved to the commit after")
