"""Measured commits, from which callers choose what to measure next."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import distinct, func, or_, select, true

from tracker.domain import RunSource, SeenFile
from tracker.store import tables as t
from tracker.store.queries.projects import find_project
from tracker.store.store import Store

WHOLE_RUNS: tuple[RunSource, ...] = ("ingest", "run", "schedule")
LAUNCHES: tuple[RunSource, ...] = ("run", "schedule")


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


def seen_files(store: Store, project: str) -> dict[str, SeenFile]:
    """Return the files that were read whole, by their key; none where there is no project."""
    c = t.seen_file.c
    statement = (
        select(c.digest, c.size, c.mtime_ns, c.num_results, c.content, c.id)
        .join(t.project, t.project.c.id == c.project_id)
        .where(t.project.c.name == project)
        .order_by(c.id)
    )
    with store.reading() as conn:
        return {digest: SeenFile(*facts) for digest, *facts in conn.execute(statement)}


def commits_to_describe(store: Store, project: str) -> list[str]:
    """Return the hashes of the measured commits whose parents or author the store does not know.

    Raises:
        UsageError: No such project.
    """
    r = t.revision.c
    with store.reading() as conn:
        statement = select(r.commit_hash).where(
            r.project_id == find_project(conn, project),
            r.num_results > 0,
            or_(r.parents.is_(None), r.author.is_(None)),
        )
        return list(conn.execute(statement).scalars())


def count_launches(
    store: Store,
    project: str,
    machine: str,
    commits: Collection[str],
    *,
    environment: str | None = None,
) -> dict[str, dict[tuple[str, str], int]]:
    """Return how many launches measured each benchmark, by commit and (name, version).

    Launches of `tracker run` and of the service count; a gate's pairs and what was ingested do
    not. A failure counts as a result. Commits without a launch are absent. With `environment`,
    launches in that one count alone.

    Raises:
        UsageError: No such project.
    """
    wanted = set(commits)
    r, b, run, result, series = t.revision.c, t.benchmark.c, t.run.c, t.result.c, t.series.c
    counts: dict[str, dict[tuple[str, str], int]] = {}
    with store.reading() as conn:
        statement = (
            select(r.commit_hash, b.name, b.version, func.count(distinct(run.id)))
            .join(t.run, run.revision_id == r.id)
            .join(t.machine, t.machine.c.id == run.machine_id)
            .join(t.result, result.run_id == run.id)
            .join(t.series, series.id == result.series_id)
            .join(t.benchmark, b.id == series.benchmark_id)
            .where(
                r.project_id == find_project(conn, project),
                t.machine.c.name == machine,
                run.source.in_(LAUNCHES),
                true() if environment is None else series.environment == environment,
            )
            .group_by(r.commit_hash, b.name, b.version)
        )
        for commit, name, version, count in conn.execute(statement):
            if commit in wanted:
                counts.setdefault(commit, {})[name, version] = count
    return counts
