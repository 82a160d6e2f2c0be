"""Work that people asked the service for."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Select, select

from tracker.domain import JobInfo
from tracker.errors import UsageError
from tracker.store import tables as t
from tracker.store.queries.projects import find_project
from tracker.store.queries.revisions import load_revisions
from tracker.store.store import Store

_j = t.job.c
_COLUMNS = (
    *(_j.id, _j.kind, _j.revision_id, _j.arguments, _j.state, _j.asked_by, _j.asked_at),
    *(_j.started_at, _j.finished_at, _j.attempts, _j.result, _j.gate_id),
)


def list_jobs(
    store: Store,
    project: str,
    *,
    commit: str | None = None,
    machine: str | None = None,
    active: bool = False,
    limit: int = 50,
) -> list[JobInfo]:
    """Return the newest jobs of a project, newest first.

    Args:
        store: Where to look.
        project: Its name.
        commit: Only those about this commit, by its full hash.
        machine: Only those that the service of this machine takes.
        active: Only those that wait or run.
        limit: At most so many.

    Raises:
        UsageError: No such project.
    """
    with store.reading() as conn:
        statement = _select().where(_j.project_id == find_project(conn, project))
        if commit is not None:
            statement = statement.where(t.revision.c.commit_hash == commit)
        if machine is not None:
            statement = statement.where(t.machine.c.name == machine)
        if active:
            statement = statement.where(_j.state.in_(("queued", "running")))
        return _jobs(conn, statement.order_by(_j.id.desc()).limit(limit))


def get_job(store: Store, job_id: int) -> JobInfo:
    """Return one job.

    Raises:
        UsageError: No such job.
    """
    with store.reading() as conn:
        jobs = _jobs(conn, _select().where(_j.id == job_id))
    if not jobs:
        raise UsageError(f"no job {job_id} in the store")
    return jobs[0]


def _select() -> Select[Any]:
    return (
        select(*_COLUMNS, t.project.c.name.label("project"), t.machine.c.name.label("machine"))
        .join(t.project, t.project.c.id == _j.project_id)
        .join(t.machine, t.machine.c.id == _j.machine_id)
        .join(t.revision, t.revision.c.id == _j.revision_id)
    )


def _jobs(conn: Connection, statement: Select[Any]) -> list[JobInfo]:
    rows = conn.execute(statement).mappings().all()
    revisions = load_revisions(conn, {row["revision_id"] for row in rows})
    return [
        JobInfo(
            revision=revisions[row["revision_id"]],
            **{name: value for name, value in row.items() if name != "revision_id"},
        )
        for row in rows
    ]
