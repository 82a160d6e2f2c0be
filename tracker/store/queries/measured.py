"""Which commits were measured, for whoever decides what to measure next."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import select

from tracker.domain import RunSource
from tracker.store import tables as t
from tracker.store.queries.projects import find_project
from tracker.store.store import Store

WHOLE_RUNS: tuple[RunSource, ...] = ("ingest", "run", "schedule")


def measured_commits(
    store: Store, project: str, machine: str, *, sources: Collection[RunSource] = WHOLE_RUNS
) -> set[str]:
    """Return the full hashes of the commits that have a value from `machine`.

    Args:
        store: Where to look.
        project: Its name.
        machine: Its name; one that was never seen has measured nothing.
        sources: Kinds of run that count. A gate measures what its policy names, and perhaps a
            head that was never merged, so that gates do not count unless asked for.

    Raises:
        UsageError: No such project.
    """
    r, run, result = t.revision.c, t.run.c, t.result.c
    with store.reading() as conn:
        statement = (
            select(r.commit_hash)
            .join(t.run, run.revision_id == r.id)
            .join(t.machine, t.machine.c.id == run.machine_id)
            .where(
                r.project_id == find_project(conn, project),
                t.machine.c.name == machine,
                run.source.in_(list(sources)),
                select(result.id).where(result.run_id == run.id, result.status == "ok").exists(),
            )
        )
        return set(conn.execute(statement).scalars())
