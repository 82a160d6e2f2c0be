"""The queue: work is queued once, handed to one executor at a time, and kept with its end.

::

    queued ──take──► submitted ──begin──► running ──finish──► done, failed
      ▲                  └───────────────────┴── requeue (the node or the process died)
      └──────────────────────────────────────────┘        failed after MAX_ATTEMPTS
    queued ──cancel──► cancelled      submitted, running ──cancel──► cancelling ──end──► cancelled

Each take raises `attempts`. A process that works on a job holds a `JobClaim` with that number, and
every transaction of its store checks the claim first: a process whose job was handed out again,
cancelled or ended writes nothing more, however late it wakes up.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select, update

from tracker.domain import ACTIVE_JOBS, PRIORITY_ASKED, JobClaim, JobKind, JobState, MachineInfo
from tracker.errors import JobLostError, UsageError
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
    priority: int = PRIORITY_ASKED,
    add_machine: bool = False,
    once: bool = False,
) -> tuple[int, bool]:
    """Queue work for a machine class; return (id, is new).

    The same work, while it waits or runs, is not queued again.

    Args:
        tx: Open.
        project: Its name.
        kind: What is to be done.
        machine: The machine class.
        commit: Full hash of a recorded commit.
        arguments: Of the kind.
        by: Who asks.
        now: When.
        priority: The lowest number is served first.
        add_machine: Whether a machine that has measured nothing so far is added.
        once: Never again, also after the same work has ended.

    Raises:
        UsageError: No such machine or commit.
    """
    project_id = reference.ensure_project(tx, project)
    revision_id = reference.find_revision(tx, project_id, commit)
    if revision_id is None:
        raise UsageError(f"commit {commit!r} is not in project {project!r}")
    if add_machine:
        machine_id = reference.ensure_machine(tx, project_id, MachineInfo(machine))
    else:
        machine_id = find_machine(tx, project, machine)
    asked = to_json([project, machine, commit, kind, dict(arguments)])
    key = hashlib.sha256(asked.encode()).hexdigest()
    active = select(_j.id, _j.priority).where(_j.active_key == key)
    known = tx.conn.execute(active).one_or_none()
    if known is not None:
        if priority < known.priority:  # asked for again by somebody who is served earlier
            tx.conn.execute(update(t.job).where(_j.id == known.id).values(priority=priority))
        return int(known.id), False
    if once:
        same = (_j.machine_id == machine_id) & (_j.revision_id == revision_id) & (_j.kind == kind)
        asked_before = select(_j.id).where(same, _j.arguments == dict(arguments))
        if (before := tx.conn.execute(asked_before).scalar()) is not None:
            return int(before), False
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
        "priority": priority,
        "seconds": 0.0,
    }
    return tx.insert(t.job, row), True


def find_machine(tx: Transaction, project: str, machine: str) -> int:
    """Return the id of a machine of a project."""
    m, p = t.machine.c, t.project.c
    found = tx.conn.execute(
        select(m.id)
        .join(t.project, p.id == m.project_id)
        .where(p.name == project, m.name == machine)
    ).scalar()
    if found is None:
        raise UsageError(f"project {project!r} has no machine {machine!r}")
    return int(found)


def take_job(
    tx: Transaction,
    project: str,
    machine: str,
    *,
    service: str,
    executor: str,
    now: datetime,
    below: int | None = None,
) -> int | None:
    """Mark the first queued job of a machine as submitted and return its id; None: there is none."""
    queued = (
        select(_j.id)
        .join(t.project, t.project.c.id == _j.project_id)
        .join(t.machine, t.machine.c.id == _j.machine_id)
        .where(t.project.c.name == project, t.machine.c.name == machine, _j.state == "queued")
        .order_by(_j.priority, _j.id)
        .limit(1)
    )
    if below is not None:
        queued = queued.where(_j.priority < below)
    job_id = tx.conn.execute(queued).scalar()
    if job_id is None:
        return None
    tx.conn.execute(
        update(t.job)
        .where(_j.id == job_id)
        .values(
            state="submitted",
            taken_by=service,
            executor=executor,
            attempts=_j.attempts + 1,
            handle=None,
            node=None,
            started_at=None,
            note=None,
        )
    )
    return int(job_id)


def begin_job(tx: Transaction, claim: JobClaim, node: str, now: datetime) -> None:
    """Start a submitted attempt; only one process can."""
    begun = tx.conn.execute(
        update(t.job)
        .where(_j.id == claim.job_id, _j.attempts == claim.attempt, _j.state == "submitted")
        .values(state="running", node=node, started_at=now, note=None)
    )
    if begun.rowcount != 1:
        raise JobLostError(_lost(claim))


def require_claim(tx: Transaction, claim: JobClaim) -> None:
    """Raise unless the claim's attempt is the one that runs."""
    held = (_j.id == claim.job_id) & (_j.attempts == claim.attempt) & (_j.state == "running")
    if tx.conn.execute(select(_j.id).where(held)).scalar() is None:
        raise JobLostError(_lost(claim))


def _lost(claim: JobClaim) -> str:
    return (
        f"attempt {claim.attempt} of job {claim.job_id} is not the one that may run: the job was "
        "cancelled, has ended, or was handed out again; nothing more is written"
    )


def finish_job(
    tx: Transaction,
    claim: JobClaim,
    state: JobState,
    result: str,
    gate_id: str | None,
    now: datetime,
) -> None:
    """Keep the end of a running attempt."""
    require_claim(tx, claim)
    _end(tx, claim.job_id, now, state=state, result=result, gate_id=gate_id, note=None)


def cancel_job(tx: Transaction, job_id: int, *, by: str, now: datetime) -> JobState:
    """Cancel a job; return "cancelled", or "cancelling" until its executor has ended it.

    Raises:
        UsageError: No such job, or it has ended.
    """
    state = tx.conn.execute(select(_j.state).where(_j.id == job_id)).scalar()
    if state is None:
        raise UsageError(f"no job {job_id} in the store")
    if state not in ACTIVE_JOBS:
        raise UsageError(f"job {job_id} has ended: it is {state}")
    text = f"cancelled by {check_text('the name of who cancels', by, most=320)}"
    if state == "queued":
        _end(tx, job_id, now, state="cancelled", result=text)
        return "cancelled"
    tx.conn.execute(update(t.job).where(_j.id == job_id).values(state="cancelling", result=text))
    return "cancelling"


def end_cancelled(tx: Transaction, job_id: int, *, now: datetime) -> None:
    """Note that nothing of a cancelled job runs any more."""
    if tx.conn.execute(select(_j.state).where(_j.id == job_id)).scalar() == "cancelling":
        _end(tx, job_id, now, state="cancelled", note=None)


def requeue_job(tx: Transaction, claim: JobClaim, reason: str, *, now: datetime) -> JobState | None:
    """Queue an attempt that was cut off again; return the job's new state, None where it had ended.

    A job that was cut off `MAX_ATTEMPTS` times has failed: it may be what ends its node.
    """
    mine = (_j.id == claim.job_id) & (_j.attempts == claim.attempt)
    cut_off = mine & _j.state.in_(("submitted", "running"))
    if tx.conn.execute(select(_j.id).where(cut_off)).scalar() is None:
        return None
    note = f"attempt {claim.attempt} was cut off: {reason}"
    if claim.attempt >= MAX_ATTEMPTS:
        text = f"cut off in each of {MAX_ATTEMPTS} attempts, at last: {reason}"
        _end(tx, claim.job_id, now, state="failed", result=text, note=note)
        return "failed"
    _add_seconds(tx, claim.job_id, now)
    values = {"state": "queued", "handle": None, "started_at": None, "note": note}
    tx.conn.execute(update(t.job).where(_j.id == claim.job_id).values(**values))
    return "queued"


def put_back_job(tx: Transaction, claim: JobClaim, reason: str) -> None:
    """Queue an attempt again that no executor took: it was never started, and does not count."""
    mine = (_j.id == claim.job_id) & (_j.attempts == claim.attempt) & (_j.state == "submitted")
    values = {"state": "queued", "attempts": claim.attempt - 1, "note": reason}
    tx.conn.execute(update(t.job).where(mine).values(**values))


def note_job(tx: Transaction, /, claim: JobClaim, **values: str | None) -> None:
    """Keep what the executor says of an attempt: its handle, its node, why it waits."""
    assert values.keys() <= {"handle", "node", "note"}
    mine = (_j.id == claim.job_id) & (_j.attempts == claim.attempt)
    tx.conn.execute(update(t.job).where(mine).values(**values))


def _end(tx: Transaction, job_id: int, now: datetime, **values: Any) -> None:
    _add_seconds(tx, job_id, now)
    ended = {"finished_at": now, "active_key": None, **values}
    tx.conn.execute(update(t.job).where(_j.id == job_id).values(**ended))


def _add_seconds(tx: Transaction, job_id: int, now: datetime) -> None:
    """Add the present attempt's time to the job's; before its start it has none."""
    row = tx.conn.execute(select(_j.started_at, _j.seconds).where(_j.id == job_id)).one()
    if row.started_at is not None:
        seconds = row.seconds + max(0.0, (now - row.started_at).total_seconds())
        tx.conn.execute(update(t.job).where(_j.id == job_id).values(seconds=seconds))
