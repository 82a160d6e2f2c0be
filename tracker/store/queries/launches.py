"""Launch artifacts with the runs they belong to."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import func, select

from tracker.domain import LaunchInfo
from tracker.store import tables as t
from tracker.store.queries.projects import find_machine, find_project
from tracker.store.queries.revisions import find_revision, load_revisions
from tracker.store.store import Store

LOOKED_AT = 5000


def newest_launches(
    store: Store,
    project: str,
    *,
    machine: str | None = None,
    commits: Collection[str] = (),
    of_gates: bool = True,
    limit: int = 200,
) -> list[LaunchInfo]:
    """Return the launch artifacts that were stored last, newest first.

    Args:
        store: Where to look.
        project: Its name.
        machine: Only of this machine.
        commits: Only of these; hashes, or their beginnings. Empty: of all.
        of_gates: With those of gates and calibrations, which measure a commit again and again.
        limit: At most so many, of the newest `LOOKED_AT` artifacts of the store or of the commits.

    Raises:
        UsageError: No such project, machine or commit.
    """
    a, run = t.artifact.c, t.run.c
    statement = (
        select(
            *(a.id, a.run_id, a.benchmark, a.header, a.path, a.digest),
            *(run.revision_id, run.env_name, run.source, run.recorded_at),
            t.machine.c.name.label("machine"),
        )
        .join(t.run, run.id == a.run_id)
        .join(t.machine, t.machine.c.id == run.machine_id)
        .order_by(a.id.desc())
        .limit(limit)
    )
    with store.reading() as conn:
        project_id = find_project(conn, project)
        if machine is not None:
            statement = statement.where(run.machine_id == find_machine(conn, project_id, machine))
        if commits:
            ids = [find_revision(conn, project_id, commit).id for commit in commits]
            statement = statement.where(run.revision_id.in_(ids))
        else:
            oldest = (conn.scalar(select(func.max(a.id))) or 0) - LOOKED_AT
            statement = statement.where(a.project_id == project_id, a.id > oldest)
        if not of_gates:
            statement = statement.where(run.gate_id.is_(None))
        rows = conn.execute(statement).all()
        revisions = load_revisions(conn, {row.revision_id for row in rows})
    return [
        LaunchInfo(
            id=row.id,
            run_id=row.run_id,
            benchmark=row.benchmark,
            machine=row.machine,
            environment=row.env_name,
            revision=revisions[row.revision_id],
            source=row.source,
            recorded_at=row.recorded_at,
            header=row.header,
            path=row.path,
            digest=row.digest,
        )
        for row in rows
    ]
