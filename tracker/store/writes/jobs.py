"""Work that people ask the service for: queued once, taken once, kept with its result."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import select, update

from tracker.domain import JobKind
from tracker.errors import UsageError
from tracker.store import tables as t
from tracker.store.base import to_json
from tracker.store.transaction import Transaction
from tracker.store.writes import reference
from tracker.triage import check_text

MAX_ATTEMPTS = 3  # starts of one job, the first included
_j = t.job.c


def request_job(
    tx: Transaction,
    project: str,
    kind: JobKind,
    *,
    machine: str,
    commit: str,
    arguments: Mapping[str, Any],
    by: str,
    now: datetime,
) -> tuple[int, bool]:
    """Queue work for the service of a machine; return (id, is new).

    The same work, while it waits or runs, is not queued again.

    Raises:
        UsageError: No such machine or commit.
    """
    project_id = reference.ensure_project(tx, project)
    revision_id = reference.find_revision(tx, project_id, commit)
    if revision_id is None:
        raise UsageError(f"commit {commit!r} is not in project {project!r}")
    m = t.machine.c
    machine_id = tx.conn.execute(
        select(m.id).where(m.project_id == project_id, m.name == machine)
    ).scalar()
    if machine_id is None:
        raise UsageError(f"project {project!r} has no machine {machine!r}")
    asked = to_json([project, machine, commit, kind, dict(arguments)])
    key = hashlib.sha256(asked.encode()).hexdigest()
    known = tx.conn.execute(select(_j.id).where(_j.active_key == key)).scalar()
    if known is not None:
        return int(known), False
    row = {
        "project_id": project_id,
        "machine_id": machine_id,
        "revision_id": revision_id,
        "kind": kind,
        "arguments": dict(arguments),
        "state": "queued",
        "active_key": key,
        "asked_by": check_text("the name of who asks", by, most=320),
        "asked_at": now,
        "attempts": 0,
    }
    return tx.insert(t.job, row), True


def take_job(
    tx: Transaction, project: str, machine: str, *, service: str, now: datetime
) -> int | None:
    """Mark the oldest queued job of a machine as running and return its id; None: there is none."""
    oldest = (
        select(_j.id)
        .join(t.project, t.project.c.id == _j.project_id)
        .join(t.machine, t.machine.c.id == _j.machine_id)
        .where(t.project.c.name == project, t.machine.c.name == machine, _j.state == "queued")
        .order_by(_j.id)
        .limit(1)
    )
    job_id = tx.conn.execute(oldest).scalar()
    if job_id is None:
        return None
    tx.conn.execute(
        update(t.job)
        .where(_j.id == job_id)
        .values(state="running", taken_by=service, started_at=now, attempts=_j.attempts + 1)
    )
    return int(job_id)


def finish_job(
    tx: Transaction,
    job_id: int,
    state: Literal["done", "failed"],
    result: str,
    *,
    gate_id: str | None = None,
    now: datetime,
) -> None:
    """Keep the end of a running job; one that has ended already stays as it is."""
    tx.conn.execute(
        update(t.job)
        .where(_j.id == job_id, _j.state == "running")
        .values(state=state, result=result, gate_id=gate_id, finished_at=now, active_key=None)
    )


def requeue_jobs(tx: Transaction, service: str, *, now: datetime) -> int:
    """Queue again what a service that was cut off had taken; return how many.

    A job that was started `MAX_ATTEMPTS` times has failed: it may be what ends the service.
    """
    mine = (_j.state == "running") & (_j.taken_by == service)
    tx.conn.execute(
        update(t.job)
        .where(mine, _j.attempts >= MAX_ATTEMPTS)
        .values(
            state="failed",
            finished_at=now,
            active_key=None,
            result=f"the service was cut off in each of {MAX_ATTEMPTS} attempts",
        )
    )
    return tx.conn.execute(update(t.job).where(mine).values(state="queued")).rowcount
