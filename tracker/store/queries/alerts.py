"""Alerts, newest first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Select, select

from tracker.domain import AlertInfo, RevisionInfo
from tracker.errors import UsageError
from tracker.store import tables as t
from tracker.store.queries.projects import find_project
from tracker.store.store import Store

_a = t.alert.c


def list_alerts(
    store: Store,
    project: str | None = None,
    *,
    states: Sequence[str] = ("open", "acked"),
    commit: str | None = None,
) -> list[AlertInfo]:
    """Return alerts in any of `states`, newest first, of one project or of all.

    Args:
        store: Where to look.
        project: Only this project's.
        states: Only alerts in one of these.
        commit: Only those of this commit, by its full hash.
    """
    with store.reading() as conn:
        project_id = None if project is None else find_project(conn, project)
        return load_alerts(conn, project_id, states, commit)


def get_alert(store: Store, alert_id: int) -> AlertInfo:
    """Return one alert.

    Raises:
        UsageError: No such alert.
    """
    with store.reading() as conn:
        row = conn.execute(_select().where(_a.id == alert_id)).first()
    if row is None:
        raise UsageError(f"no alert {alert_id} in the store; see: tracker alerts list")
    return _alert_of(row)


def load_alerts(
    conn: Connection, project_id: int | None, states: Sequence[str], commit: str | None = None
) -> list[AlertInfo]:
    statement = _select().where(_a.state.in_(list(states)))
    if project_id is not None:
        statement = statement.where(_a.project_id == project_id)
    if commit is not None:
        statement = statement.where(t.revision.c.commit_hash == commit)
    statement = statement.order_by(_a.created_at.desc(), _a.id.desc())
    return [_alert_of(row) for row in conn.execute(statement)]


def _select() -> Select[Any]:
    r = t.revision.c
    return (
        select(
            t.alert,
            t.project.c.name.label("project"),
            r.commit_hash,
            r.committed_at,
            r.subject,
            r.branch,
        )
        .join(t.project, t.project.c.id == _a.project_id)
        .outerjoin(t.revision, r.id == _a.revision_id)
    )


def _alert_of(row: Any) -> AlertInfo:
    revision = None
    if row.revision_id is not None:
        revision = RevisionInfo(
            row.revision_id, row.commit_hash, row.committed_at, row.subject, row.branch
        )
    return AlertInfo(
        id=row.id,
        project=row.project,
        state=row.state,
        title=row.title,
        detail=row.detail,
        revision=revision,
        num_series=row.num_series,
        worst_effect=row.worst_effect,
        created_at=row.created_at,
        updated_at=row.updated_at,
        note=row.note,
        key=row.key,
    )
