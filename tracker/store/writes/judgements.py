"""Writes conclusions from results: level shifts, gates with verdicts, calibrations."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import delete, insert, update

from tracker.domain import (
    CalibrationBlock,
    MachineInfo,
    Outcome,
    Search,
    VerdictInfo,
)
from tracker.errors import UsageError
from tracker.store import tables as t
from tracker.store.base import chunks
from tracker.store.transaction import Transaction
from tracker.store.writes import reference


def record_searches(tx: Transaction, searches: Sequence[Search]) -> None:
    """Replace the stored level shifts of each series searched, and what they follow from."""
    ids = [search.series_id for search in searches]
    for derived in (t.change_point, t.detection):
        for chunk in chunks(ids):
            tx.conn.execute(delete(derived).where(derived.c.series_id.in_(chunk)))
    rows = [row for search in searches for row in _shift_rows(search)]
    if rows:
        tx.conn.execute(insert(t.change_point), rows)
    detections = [
        {"series_id": search.series_id} | asdict(search.detection)
        for search in searches
        if search.detection is not None
    ]
    if detections:
        tx.conn.execute(insert(t.detection), detections)


def _shift_rows(search: Search) -> list[dict[str, Any]]:
    ordered = sorted(
        search.shifts, key=lambda shift: (shift.revision.committed_at, shift.revision.id)
    )
    newest = next((shift for shift in reversed(ordered) if shift.cause == "code"), None)
    return [
        {
            "series_id": search.series_id,
            "revision_id": shift.revision.id,
            "before": shift.before,
            "after": shift.after,
            "effect": shift.effect,
            "algorithm": search.algorithm if shift.drift_commits is None else shift.algorithm,
            "is_latest": shift is newest,
            "previous_id": None if shift.previous is None else shift.previous.id,
            "recovered": shift.recovered,
            "cause": shift.cause,
            "drift_commits": shift.drift_commits,
        }
        for shift in ordered
    ]


def begin_gate(
    tx: Transaction,
    project: str,
    *,
    base: str,
    head: str,
    machine: str,
    policy: Mapping[str, Any],
) -> str:
    """Open a gate between two recorded revisions (full hashes) and return its id.

    Not idempotent: every call opens another gate.

    Raises:
        UsageError: A commit is not recorded; see `record_revisions`.
    """
    project_id = reference.ensure_project(tx, project)
    revisions = {}
    for commit in (base, head):
        revision_id = reference.find_revision(tx, project_id, commit)
        if revision_id is None:
            raise UsageError(
                f"commit {commit!r} is not in project {project!r}; record it first (full hash)"
            )
        revisions[commit] = revision_id
    gate_id = uuid.uuid4().hex
    row = {
        "id": gate_id,
        "project_id": project_id,
        "machine_id": reference.ensure_machine(tx, project_id, MachineInfo(machine)),
        "base_id": revisions[base],
        "head_id": revisions[head],
        "started_at": datetime.now(UTC),
        "pairs": 0,
        "policy": dict(policy),
    }
    tx.conn.execute(insert(t.gate).values(**row))
    return gate_id


def finish_gate(
    tx: Transaction,
    gate_id: str,
    exit_code: int,
    verdicts: Iterable[VerdictInfo],
    pairs: int,
    *,
    outcome: Outcome | None = None,
    course: Mapping[str, Any] | None = None,
) -> None:
    """Close a gate with its verdicts; a second call replaces the first.

    Args:
        tx: Where to write.
        gate_id: From `begin_gate`.
        exit_code: As the command line exits.
        verdicts: One a judged metric.
        pairs: Valid pairs.
        outcome: In one word; None derives it from the other columns when read.
        course: What the pairs do not tell, as JSON values.

    Raises:
        UsageError: No such gate.
    """
    changed = tx.conn.execute(
        update(t.gate)
        .where(t.gate.c.id == gate_id)
        .values(
            finished_at=datetime.now(UTC),
            exit_code=exit_code,
            pairs=pairs,
            outcome=outcome,
            course=None if course is None else dict(course),
        )
    )
    if changed.rowcount == 0:
        raise UsageError(f"no gate {gate_id!r} in the store")
    tx.conn.execute(delete(t.verdict).where(t.verdict.c.gate_id == gate_id))
    rows = [asdict(verdict) | {"gate_id": gate_id} for verdict in verdicts]
    if rows:
        tx.conn.execute(insert(t.verdict), rows)


def record_calibration(tx: Transaction, project: str, block: CalibrationBlock) -> None:
    """Keep a block of A/A gates; a second call with its machine and start replaces the counts."""
    project_id = reference.ensure_project(tx, project)
    row = {
        "project_id": project_id,
        "machine_id": reference.ensure_machine(tx, project_id, MachineInfo(block.machine)),
        "started_at": block.started_at,
        "gates": block.gates,
        "false_blocks": block.false_blocks,
        "policy": dict(block.policy),
    }
    tx.insert_missing(t.calibration, [row])
    c = t.calibration.c
    tx.conn.execute(
        update(t.calibration)
        .where(
            c.project_id == project_id,
            c.machine_id == row["machine_id"],
            c.started_at == block.started_at,
        )
        .values(gates=block.gates, false_blocks=block.false_blocks, policy=dict(block.policy))
    )
