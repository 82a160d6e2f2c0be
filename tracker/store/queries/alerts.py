"""Alerts as they stand now, with their history."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Select, and_, case, func, or_, select

from tracker.domain import AlertEvent, AlertInfo, RevisionInfo
from tracker.errors import UsageError
from tracker.store import tables as t
from tracker.store.neighbours import find_neighbour
from tracker.store.queries.projects import find_project
from tracker.store.queries.revisions import find_revision, joined, joined_revision, load_revisions
from tracker.store.store import Store

_a, _e = t.alert.c, t.alert_event.c
_placed, _detected = t.revision.alias("placed"), t.revision.alias("detected")


def list_alerts(
    store: Store,
    project: str | None = None,
    *,
    states: Sequence[str] = ("open", "acked"),
    commit: str | None = None,
    merged: bool = False,
) -> list[AlertInfo]:
    """Return alerts in any of `states`, newest first, of one project or of all.

    Args:
        store: Where to look.
        project: Only this project's.
        states: Only alerts in one of these, as of now.
        commit: Only those of this commit, by its full hash.
        merged: Also those that are a part of another.
    """
    with store.reading() as conn:
        project_id = None if project is None else find_project(conn, project)
        return load_alerts(conn, project_id, states, commit, merged=merged)


def get_alert(store: Store, alert_id: int) -> AlertInfo:
    """Return one alert.

    Raises:
        UsageError: No such alert.
    """
    with store.reading() as conn:
        alerts = _alerts(conn, _select().where(_a.id == alert_id))
    if not alerts:
        raise UsageError(f"no alert {alert_id} in the store; see: tracker alerts list")
    return alerts[0]


def alerts_at(store: Store, project: str, commit: str) -> list[AlertInfo]:
    """Return every alert that has to do with a commit, in any state.

    Those that stand at it or were detected there, those merged into them, and those that they were
    merged into.

    Raises:
        UsageError: No such project.
    """
    with store.reading() as conn:
        ours = _a.project_id == find_project(conn, project)
        here = or_(_placed.c.commit_hash == commit, _detected.c.commit_hash == commit)
        keys = conn.execute(
            select(_a.key, _a.merged_into)
            .outerjoin(_placed, _placed.c.id == func.coalesce(_a.placed_id, _a.revision_id))
            .outerjoin(_detected, _detected.c.id == _a.revision_id)
            .where(ours, here)
        ).all()
        roots = {row.merged_into or row.key for row in keys}
        family = or_(_a.key.in_(roots), _a.merged_into.in_(roots))
        return _alerts(conn, _select().where(ours, family).order_by(_a.id.desc()))


def neighbour(store: Store, project: str, commit: str, *, later: bool) -> RevisionInfo | None:
    """Return the stored commit before or after another; None where the store knows none.

    Raises:
        UsageError: No such project or commit.
    """
    with store.reading() as conn:
        here = find_revision(conn, find_project(conn, project), commit)
        neighbour_id = find_neighbour(conn, here.id, later=later)
        return None if neighbour_id is None else load_revisions(conn, [neighbour_id])[neighbour_id]


def load_alerts(
    conn: Connection,
    project_id: int | None,
    states: Sequence[str],
    commit: str | None = None,
    *,
    merged: bool = False,
) -> list[AlertInfo]:
    ended = and_(_a.state == "expected", _a.until <= datetime.now(UTC))
    statement = _select().where(case((ended, "open"), else_=_a.state).in_(list(states)))
    if not merged:
        statement = statement.where(_a.merged_into.is_(None))
    if project_id is not None:
        statement = statement.where(_a.project_id == project_id)
    if commit is not None:
        statement = statement.where(_placed.c.commit_hash == commit)
    return _alerts(conn, statement.order_by(_a.created_at.desc(), _a.id.desc()))


def _select() -> Select[Any]:
    return (
        select(
            t.alert,
            t.project.c.name.label("project"),
            t.machine.c.name.label("machine"),
            *joined(_placed),
            *joined(_detected),
        )
        .join(t.project, t.project.c.id == _a.project_id)
        .outerjoin(t.machine, t.machine.c.id == _a.machine_id)
        .outerjoin(_placed, _placed.c.id == func.coalesce(_a.placed_id, _a.revision_id))
        .outerjoin(_detected, _detected.c.id == _a.revision_id)
    )


def _alerts(conn: Connection, statement: Select[Any]) -> list[AlertInfo]:
    rows = conn.execute(statement).all()
    histories: dict[int, list[AlertEvent]] = {row.id: _logged(row.note) for row in rows}
    if rows:
        events = select(_e.alert_id, _e.at, _e.action, _e.text, _e.actor)
        events = events.where(_e.alert_id.in_(list(histories))).order_by(_e.id)
        for alert_id, *facts in conn.execute(events):
            histories[alert_id].append(AlertEvent(*facts))
    return [_alert_of(row, tuple(histories[row.id])) for row in rows]


def _alert_of(row: Any, history: tuple[AlertEvent, ...]) -> AlertInfo:
    has_ended = row.state == "expected" and row.until is not None and row.until <= datetime.now(UTC)
    return AlertInfo(
        id=row.id,
        project=row.project,
        state="open" if has_ended else row.state,
        title=row.title,
        detail=row.detail,
        revision=joined_revision(row, "placed"),
        num_series=row.num_series,
        worst_effect=row.worst_effect,
        created_at=row.created_at,
        updated_at=row.updated_at,
        key=row.key,
        machine=row.machine,
        detected=joined_revision(row, "detected"),
        metrics=None if row.metrics is None else tuple(row.metrics),
        merged_into=row.merged_into,
        assignee=row.assignee,
        issue=row.issue,
        until=row.until,
        fixed_by=row.fixed_by,
        history=history,
    )


_STAMPED = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ) (.*)")
_LOGGED_ACTIONS = (
    ("delivered to", "delivered"),
    ("not delivered to", "undelivered"),
    ("withdrawn:", "withdrawn"),
    ("found again:", "found again"),
)


def _logged(note: str | None) -> list[AlertEvent]:
    """What versions before schema 0009 wrote into the note of an alert."""
    events = []
    for line in (note or "").splitlines():
        stamped = _STAMPED.fullmatch(line)
        text = stamped[2] if stamped else line
        at = datetime.fromisoformat(stamped[1]) if stamped else datetime.min.replace(tzinfo=UTC)
        action = next((name for start, name in _LOGGED_ACTIONS if text.startswith(start)), "logged")
        events.append(AlertEvent(at, action, text))
    return events
