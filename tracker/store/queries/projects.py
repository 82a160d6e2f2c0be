"""Projects and their machines."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from tracker.domain import ProjectInfo
from tracker.errors import UsageError, did_you_mean
from tracker.store import tables as t
from tracker.store.store import Store


def list_projects(store: Store) -> list[ProjectInfo]:
    """Return every project with its counts, by name."""
    with store.reading() as conn:
        return project_infos(conn)


def list_machines(store: Store, project: str) -> list[str]:
    """Return the names of the machines a project was measured on, sorted."""
    with store.reading() as conn:
        project_id = find_project(conn, project)
        statement = select(t.machine.c.name).where(t.machine.c.project_id == project_id)
        return sorted(conn.execute(statement).scalars())


def project_infos(conn: Connection, project_id: int | None = None) -> list[ProjectInfo]:
    only = () if project_id is None else (t.project.c.id == project_id,)
    counts = (
        select(
            t.series.c.project_id,
            func.sum(t.series.c.num_results).label("num_results"),
            func.count().label("num_series"),
            func.max(t.series.c.last_measured_at).label("last_measured"),
        )
        .group_by(t.series.c.project_id)
        .subquery()
    )
    revisions = (
        select(t.revision.c.project_id, func.count().label("num_revisions"))
        .where(t.revision.c.num_results > 0)
        .group_by(t.revision.c.project_id)
        .subquery()
    )
    statement = (
        select(
            t.project.c.id,
            t.project.c.name,
            t.project.c.commit_url,
            counts.c.num_results,
            counts.c.num_series,
            counts.c.last_measured,
            revisions.c.num_revisions,
        )
        .outerjoin(counts, counts.c.project_id == t.project.c.id)
        .outerjoin(revisions, revisions.c.project_id == t.project.c.id)
        .where(*only)
        .order_by(t.project.c.name)
    )
    machines: dict[int, list[str]] = {}
    for owner, name in conn.execute(select(t.machine.c.project_id, t.machine.c.name)):
        machines.setdefault(owner, []).append(name)
    return [
        ProjectInfo(
            name=row.name,
            num_results=int(row.num_results or 0),
            num_series=row.num_series or 0,
            num_revisions=row.num_revisions or 0,
            machines=tuple(sorted(machines.get(row.id, []))),
            last_measured=row.last_measured,
            commit_url=row.commit_url,
        )
        for row in conn.execute(statement)
    ]


def find_project(conn: Connection, name: str) -> int:
    """Return a project's id.

    Raises:
        UsageError: No such project; names those there are.
    """
    project_id = conn.execute(select(t.project.c.id).where(t.project.c.name == name)).scalar()
    if project_id is not None:
        return int(project_id)
    names = sorted(conn.execute(select(t.project.c.name)).scalars())
    empty = "the store is empty; read results with: tracker ingest PATH"
    mend = did_you_mean(name, names) if names else empty
    raise UsageError(f"no project {name!r} in the store; {mend}")


def find_machine(conn: Connection, project_id: int, name: str) -> int:
    """Return a machine's id.

    Raises:
        UsageError: No such machine in the project; names those there are.
    """
    listed = conn.execute(
        select(t.machine.c.name, t.machine.c.id).where(t.machine.c.project_id == project_id)
    )
    machines: dict[str, int] = {row[0]: row[1] for row in listed}
    if name in machines:
        return machines[name]
    mend = did_you_mean(name, sorted(machines))
    raise UsageError(f"no machine {name!r} in this project; {mend}")
