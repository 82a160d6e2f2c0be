"""The queue of jobs, and the device time that they took."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, func, or_, select

from tracker.domain import ACTIVE_JOBS, JobInfo, QuarantinedNode, TaskInfo
from tracker.errors import UsageError
from tracker.store import tables as t
from tracker.store.queries.projects import find_project
from tracker.store.queries.revisions import load_revisions
from tracker.store.store import Store

LEFT_ALONE = 1_000_000  # failures of a commit whose job was cancelled: nobody tries that often

_j = t.job.c
_COLUMNS = (
    *(_j.id, _j.kind, _j.revision_id, _j.arguments, _j.state, _j.asked_by, _j.asked_at),
    *(_j.started_at, _j.finished_at, _j.attempts, _j.result, _j.gate_id, _j.priority),
    *(_j.taken_by, _j.executor, _j.handle, _j.node, _j.note, _j.seconds),
)


def list_jobs(
    store: Store,
    project: str,
    *,
    commit: str | None = None,
    machine: str | None = None,
    active: bool = False,
    limit: int | None = 50,
) -> list[JobInfo]:
    """Return the newest jobs of a project, newest first.

    Args:
        store: Where to look.
        project: Its name.
        commit: Only those about this commit, by its full hash.
        machine: Only those of this machine class.
        active: Only those that wait or run.
        limit: At most so many; None: all.

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
            statement = statement.where(_j.state.in_(ACTIVE_JOBS))
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


def failed_runs(store: Store, project: str, machine: str) -> dict[str, tuple[int, datetime | None]]:
    """Return how often jobs that measure a commit failed, and when last, by its full hash.

    A commit that was measured since has none: failures before its last success do not count. One
    whose job somebody cancelled has `LEFT_ALONE` of them.
    """
    r, m = t.revision.c, t.machine.c
    with store.reading() as conn:
        rows = conn.execute(
            select(r.commit_hash, _j.state, _j.finished_at)
            .join(t.revision, r.id == _j.revision_id)
            .join(t.machine, m.id == _j.machine_id)
            .where(
                _j.project_id == find_project(conn, project),
                m.name == machine,
                _j.kind == "run",
                _j.state.in_(("done", "failed", "cancelled")),
            )
            .order_by(_j.id)
        ).all()
    failures: dict[str, tuple[int, datetime | None]] = {}
    for commit, state, finished_at in rows:
        if state == "done":
            failures.pop(commit, None)
        else:
            count = LEFT_ALONE if state == "cancelled" else 1
            failures[commit] = (failures.get(commit, (0, None))[0] + count, finished_at)
    return failures


def device_seconds(
    store: Store, project: str, machine: str, *, since: datetime, now: datetime
) -> float:
    """Return the device time of jobs that ended since a moment or still run, up to now.

    An attempt that was cut off counts with its job.
    """
    m = t.machine.c
    with store.reading() as conn:
        rows = conn.execute(
            select(_j.seconds, _j.started_at, _j.finished_at)
            .join(t.machine, m.id == _j.machine_id)
            .where(
                _j.project_id == find_project(conn, project),
                m.name == machine,
                or_(_j.finished_at >= since, _j.state.in_(ACTIVE_JOBS)),
            )
        ).all()
    total = 0.0
    for row in rows:
        total += row.seconds
        if row.finished_at is None and row.started_at is not None:
            total += max(0.0, (now - row.started_at).total_seconds())
    return total


def job_launches(store: Store, job: JobInfo) -> int:
    """Return how many launches the attempts of a job have stored."""
    with store.reading() as conn:
        statement = select(func.count()).select_from(t.run).where(t.run.c.job_key == job.key)
        return int(conn.execute(statement).scalar_one())


def list_tasks(store: Store, project: str) -> list[TaskInfo]:
    """Return the tasks of every service of a project, by service and name."""
    s = t.service_task.c
    with store.reading() as conn:
        rows = conn.execute(
            select(s.service, s.name, s.due_at, s.finished_at, s.problem)
            .where(s.project_id == find_project(conn, project))
            .order_by(s.service, s.name)
        )
        return [TaskInfo(*row) for row in rows]


def quarantined_nodes(store: Store, project: str) -> list[QuarantinedNode]:
    """Return every node that is or was quarantined, by machine class and name."""
    q, m = t.node_quarantine.c, t.machine.c
    with store.reading() as conn:
        rows = conn.execute(
            select(m.name, q.node, q.reason, q.set_by, q.set_at, q.released_at)
            .join(t.machine, m.id == q.machine_id)
            .where(m.project_id == find_project(conn, project))
            .order_by(m.name, q.node)
        )
        return [QuarantinedNode(*row) for row in rows]


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
