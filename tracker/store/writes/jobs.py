"""Work that people ask the service for: queued once, taken once, kept with its result."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select, update

from tracker.domain import JobKind, JobState
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
    machine: str,
    commit: str,
    kind: JobKind,
    arguments: Mapping[str, Any],
    by: str,
    now: datetime,
) -> tuple[int, bool]:
    """Queue work, unless the same is queued or running; return (id, is new)."""
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
    active = select(_j.id).where(_j.active_key == key)
    known = tx.conn.execute(active).scalar()
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
    tx.insert_missing(t.job, [row])
    # Another writer may have asked for the same at the same moment: one of the two rows stands.
    stored = tx.conn.execute(select(_j.id, _j.asked_by, _j.asked_at).where(_j.active_key == key))
    job = stored.one()
    return int(job.id), bool((job.asked_by, job.asked_at) == (row["asked_by"], now))


def take_job(
    tx: Transaction, project: str, machine: str, service: str, now: datetime
) -> int | None:
    """Mark the oldest queued job of a machine as running and return its id; None: there is none."""
    queued = (
        select(_j.id)
        .join(t.project, t.project.c.id == _j.project_id)
        .join(t.machine, t.machine.c.id == _j.machine_id)
        .where(t.project.c.name == project, t.machine.c.name == machine, _j.state == "queued")
        .order_by(_j.id)
    )
    for (job_id,) in tx.conn.execute(queued).all():
        taken = tx.conn.execute(
            update(t.job)
            .where(_j.id == job_id, _j.state == "queued")  # unless another service was faster
            .values(state="running", taken_by=service, started_at=now, attempts=_j.attempts + 1)
        )
        if taken.rowcount == 1:
            return int(job_id)
    return None


def finish_job(
    tx: Transaction, job_id: int, state: JobState, result: str, gate_id: str | None, now: datetime
) -> None:
    """Keep the end of a running job; one that has ended already stays as it is."""
    tx.conn.execute(
        update(t.job)
        .where(_j.id == job_id, _j.state == "running")
        .values(state=state, result=result, gate_id=gate_id, finished_at=now, active_key=None)
    )


def requeue_jobs(tx: Transaction, service: str, now: datetime) -> int:
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
