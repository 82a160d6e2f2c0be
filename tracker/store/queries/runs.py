"""Runs: what was measured when, where and in which environment; and the machines themselves."""

from __future__ import annotations

from sqlalchemy import case, func, select

from tracker.domain import MachineInfo, MachineUse, RunInfo
from tracker.store import tables as t
from tracker.store.queries.history import load_fingerprints
from tracker.store.queries.projects import find_machine, find_project
from tracker.store.queries.revisions import load_revisions
from tracker.store.store import Store


def newest_runs(
    store: Store, project: str, *, machine: str | None = None, limit: int = 50
) -> list[RunInfo]:
    """Return the runs that were recorded last, newest first.

    The results of these runs are counted, through their index; no others are read.

    Raises:
        UsageError: No such project or machine.
    """
    r, result = t.run.c, t.result.c
    with store.reading() as conn:
        project_id = find_project(conn, project)
        statement = (
            select(t.run, t.machine.c.name.label("machine"))
            .join(t.machine, t.machine.c.id == r.machine_id)
            .where(r.project_id == project_id)
            .order_by(r.id.desc())
            .limit(limit)
        )
        if machine is not None:
            statement = statement.where(r.machine_id == find_machine(conn, project_id, machine))
        rows = conn.execute(statement).all()
        revisions = load_revisions(conn, {row.revision_id for row in rows})
        prints = load_fingerprints(conn, {row.fingerprint_id for row in rows})
        counted = (
            select(
                result.run_id,
                func.count(),
                func.sum(case((result.status == "ok", 0), else_=1)),
                func.sum(result.duration),
            )
            .where(result.run_id.in_([row.id for row in rows]))
            .group_by(result.run_id)
        )
        counts = {row[0]: row[1:] for row in conn.execute(counted)}
    runs = []
    for row in rows:
        num_results, num_failed, seconds = counts.get(row.id, (0, 0, None))
        runs.append(
            RunInfo(
                id=row.id,
                machine=row.machine,
                revision=revisions[row.revision_id],
                environment=row.env_name,
                source=row.source,
                recorded_at=row.recorded_at,
                path=row.path,
                gate_id=row.gate_id,
                pair=row.pair,
                arm=row.arm,
                num_results=num_results,
                num_failed=int(num_failed or 0),
                seconds=seconds,
                fingerprint=tuple(sorted(prints.get(row.fingerprint_id, {}).items())),
            )
        )
    return runs


def machine_uses(store: Store, project: str) -> list[MachineUse]:
    """Return the machines of a project by name, with what is known of them and their last result.

    Raises:
        UsageError: No such project.
    """
    m, s = t.machine.c, t.series.c
    with store.reading() as conn:
        project_id = find_project(conn, project)
        statement = (
            select(
                *(m.name, m.arch, m.cpu, m.num_cpu, m.os, m.ram),
                func.count(s.id).label("num_series"),
                func.max(s.last_measured_at).label("last_measured"),
            )
            .outerjoin(t.series, s.machine_id == m.id)
            .where(m.project_id == project_id)
            .group_by(m.id)
            .order_by(m.name)
        )
        return [
            MachineUse(MachineInfo(*row[:6]), row.num_series, row.last_measured)
            for row in conn.execute(statement)
        ]
