"""Gates with their verdicts, and how often A/A gates called a regression."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Select, case, func, select

from tracker.domain import (
    VALID_EXIT_CODES,
    VALID_OUTCOMES,
    CalibrationBlock,
    CalibrationInfo,
    GateInfo,
    GateLaunch,
    VerdictInfo,
)
from tracker.errors import UsageError
from tracker.store import tables as t
from tracker.store.queries.history import load_fingerprints
from tracker.store.queries.projects import find_machine, find_project
from tracker.store.queries.revisions import find_revision, load_revisions
from tracker.store.store import Store

_g = t.gate.c


def list_gates(
    store: Store, project: str, *, limit: int | None = 20, head: str | None = None
) -> list[GateInfo]:
    """Return the newest gates of a project, newest first.

    Args:
        store: Where to look.
        project: Its name.
        limit: At most so many; None: all.
        head: Only those that judged this commit, against whatever base.

    Raises:
        UsageError: No such project or commit.
    """
    with store.reading() as conn:
        project_id = find_project(conn, project)
        head_id = None if head is None else find_revision(conn, project_id, head).id
        return load_gates(conn, project_id, limit, head_id)


def gates_between(
    store: Store, project: str, base: str, head: str, *, machine: str | None = None
) -> list[GateInfo]:
    """Return the gates of HEAD against BASE, newest first, unfinished ones included.

    Raises:
        UsageError: A commit or the machine is not there.
    """
    with store.reading() as conn:
        project_id = find_project(conn, project)
        statement = _select().where(
            _g.project_id == project_id,
            _g.base_id == find_revision(conn, project_id, base).id,
            _g.head_id == find_revision(conn, project_id, head).id,
        )
        if machine is not None:
            statement = statement.where(_g.machine_id == find_machine(conn, project_id, machine))
        return _gates(conn, statement.order_by(_g.started_at.desc(), _g.id))


def gated_pairs(store: Store, project: str) -> set[tuple[str, str]]:
    """Return the full hashes (BASE, HEAD) of every pair of commits that has a gate.

    Raises:
        UsageError: No such project.
    """
    base, head = t.revision.alias(), t.revision.alias()
    with store.reading() as conn:
        statement = (
            select(base.c.commit_hash, head.c.commit_hash)
            .join(t.gate, _g.base_id == base.c.id)
            .join(head, head.c.id == _g.head_id)
            .where(_g.project_id == find_project(conn, project))
        )
        return {(row[0], row[1]) for row in conn.execute(statement)}


def get_gate(store: Store, gate_id: str) -> GateInfo:
    """Return one gate.

    Raises:
        UsageError: No such gate.
    """
    with store.reading() as conn:
        gates = _gates(conn, _select().where(_g.id == gate_id))
    if not gates:
        raise UsageError(f"no gate {gate_id!r} in the store")
    return gates[0]


def gate_environment(store: Store, gate_id: str) -> dict[str, list[str]]:
    """Return what the launches of a gate ran in: by field of the fingerprint, its distinct values."""
    with store.reading() as conn:
        ids = set(
            conn.scalars(
                select(t.run.c.fingerprint_id).where(t.run.c.gate_id == gate_id).distinct()
            )
        )
        prints = load_fingerprints(conn, ids)
    names = {name: None for facts in prints.values() for name in facts}
    return {
        name: sorted({facts[name] for facts in prints.values() if name in facts}) for name in names
    }


def gate_launches(
    store: Store,
    project: str,
    *,
    gate_id: str | None = None,
    machine: str | None = None,
    limit: int | None = None,
) -> list[GateLaunch]:
    """Return launch artifacts of valid pairs, oldest first.

    Args:
        store: Where to look.
        project: Its name.
        gate_id: Of this gate; else of every gate.
        machine: On this machine; else on any. One that was never seen has none.
        limit: The newest so many; else all.

    Raises:
        UsageError: No such project.
    """
    a, run = t.artifact.c, t.run.c
    statement = (
        select(run.gate_id, run.pair, run.arm, a.benchmark, a.header, a.path)
        .join(t.run, run.id == a.run_id)
        .order_by(a.id.desc())
        .limit(limit)
    )
    with store.reading() as conn:
        statement = statement.where(
            run.project_id == find_project(conn, project),
            run.gate_id.is_not(None),
            run.pair.is_not(None),
        )
        if gate_id is not None:
            statement = statement.where(run.gate_id == gate_id)
        if machine is not None:
            statement = statement.join(t.machine, t.machine.c.id == run.machine_id).where(
                t.machine.c.name == machine
            )
        launches = [GateLaunch(*row) for row in conn.execute(statement)]
    return launches[::-1]


def calibration(store: Store, project: str) -> CalibrationInfo:
    """Return how many A/A gates a project has seen and how many called a regression."""
    with store.reading() as conn:
        return load_calibration(conn, find_project(conn, project))


def calibration_blocks(
    store: Store, project: str, *, machine: str | None = None
) -> list[CalibrationBlock]:
    """Return the blocks of A/A gates that `tracker calibrate` ran, newest first.

    Args:
        store: Where to look.
        project: Its name.
        machine: Only this machine's; one that was never seen has none.

    Raises:
        UsageError: No such project.
    """
    with store.reading() as conn:
        c = t.calibration.c
        statement = (
            select(t.calibration, t.machine.c.name.label("machine"))
            .join(t.machine, t.machine.c.id == c.machine_id)
            .where(c.project_id == find_project(conn, project))
            .order_by(c.started_at.desc(), c.id.desc())
        )
        if machine is not None:
            statement = statement.where(t.machine.c.name == machine)
        return [
            CalibrationBlock(row.machine, row.started_at, row.gates, row.false_blocks, row.policy)
            for row in conn.execute(statement)
        ]


def load_gates(
    conn: Connection,
    project_id: int,
    limit: int | None,
    head_id: int | None = None,
    *,
    with_identical: bool = True,
) -> list[GateInfo]:
    statement = _select().where(_g.project_id == project_id)
    if not with_identical:
        statement = statement.where(_g.base_id != _g.head_id)
    if head_id is not None:
        statement = statement.where(_g.head_id == head_id)
    return _gates(conn, statement.order_by(_g.started_at.desc(), _g.id).limit(limit))


def load_calibration(conn: Connection, project_id: int) -> CalibrationInfo:
    """Count finished gates of a revision against itself that reached a verdict."""
    gates, blocks = conn.execute(
        select(func.count(), func.sum(case((_g.exit_code == 1, 1), else_=0))).where(
            _g.project_id == project_id,
            _g.base_id == _g.head_id,
            _g.exit_code.in_(VALID_EXIT_CODES),
            func.coalesce(_g.outcome, "").in_(["", *VALID_OUTCOMES]),
        )
    ).one()
    blocks = int(blocks or 0)
    if not gates:
        return CalibrationInfo(0, 0, None)
    from tracker.stats.calibration import upper_bound  # scipy, only where there is a rate to bound

    return CalibrationInfo(gates, blocks, upper_bound(blocks, gates))


def _select() -> Select[Any]:
    return (
        select(t.gate, t.project.c.name.label("project"), t.machine.c.name.label("machine"))
        .join(t.project, t.project.c.id == _g.project_id)
        .join(t.machine, t.machine.c.id == _g.machine_id)
    )


def _gates(conn: Connection, statement: Select[Any]) -> list[GateInfo]:
    rows = conn.execute(statement).all()
    revisions = load_revisions(conn, {id_ for row in rows for id_ in (row.base_id, row.head_id)})
    verdicts: dict[str, list[VerdictInfo]] = {row.id: [] for row in rows}
    if rows:
        v = t.verdict.c
        listed = select(t.verdict).where(v.gate_id.in_(list(verdicts))).order_by(v.id)
        for row in conn.execute(listed).mappings():
            facts = {name: value for name, value in row.items() if name != "id"}
            verdicts[row["gate_id"]].append(VerdictInfo(**facts))
    return [
        GateInfo(
            id=row.id,
            project=row.project,
            machine=row.machine,
            base=revisions[row.base_id],
            head=revisions[row.head_id],
            started_at=row.started_at,
            finished_at=row.finished_at,
            exit_code=row.exit_code,
            pairs=row.pairs,
            verdicts=tuple(verdicts[row.id]),
            policy=row.policy,
            recorded=row.outcome,
            course=row.course or {},
        )
        for row in rows
    ]
