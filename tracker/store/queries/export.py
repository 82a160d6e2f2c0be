"""Every parameter point that was measured, one row each, in a stable order."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import select

from tracker.domain import ExportRow
from tracker.store import tables as t
from tracker.store.identity import milliseconds
from tracker.store.queries.projects import find_project
from tracker.store.store import Store


def export_rows(store: Store, project: str | None = None) -> Iterator[ExportRow]:
    """Yield the latest attempt at every (series, revision, environment name).

    Sorted by machine, commit, environment name, benchmark, parameter index, then version and
    parameters; of one project, or of all of them one after the other.

    Raises:
        UsageError: No such project.
    """
    with store.reading() as conn:
        if project is None:
            statement = select(t.project.c.id).order_by(t.project.c.name)
            project_ids = list(conn.execute(statement).scalars())
        else:
            project_ids = [find_project(conn, project)]
    for project_id in project_ids:
        for _, row in sorted(_latest(store, project_id).values(), key=lambda item: _order(item[1])):
            yield row


def _latest(store: Store, project_id: int) -> dict[tuple[object, ...], tuple[object, ExportRow]]:
    r, s = t.result.c, t.series.c
    statement = (
        select(
            r.id,
            r.series_id,
            r.revision_id,
            r.started_at,
            r.param_index,
            r.status,
            r.value,
            t.run.c.env_name,
            t.revision.c.commit_hash,
            t.revision.c.committed_at,
            t.machine.c.name.label("machine"),
            t.benchmark.c.name.label("benchmark"),
            t.benchmark.c.version,
            t.param_point.c.params,
        )
        .join(t.run, t.run.c.id == r.run_id)
        .join(t.revision, t.revision.c.id == r.revision_id)
        .join(t.series, s.id == r.series_id)
        .join(t.machine, t.machine.c.id == s.machine_id)
        .join(t.benchmark, t.benchmark.c.id == s.benchmark_id)
        .join(t.param_point, t.param_point.c.id == s.param_point_id)
        .where(s.project_id == project_id)
    )
    latest: dict[tuple[object, ...], tuple[object, ExportRow]] = {}
    with store.reading() as conn:
        for row in conn.execute(statement):
            key = (row.series_id, row.revision_id, row.env_name)
            started = row.started_at
            when = (started is not None, started.timestamp() if started else 0.0, row.id)
            if key in latest and latest[key][0] > when:  # type: ignore[operator]
                continue
            latest[key] = (
                when,
                ExportRow(
                    machine=row.machine,
                    commit=row.commit_hash,
                    env_name=row.env_name,
                    date_ms=milliseconds(row.committed_at),
                    benchmark=row.benchmark,
                    bench_version=row.version,
                    param_index=row.param_index,
                    params=tuple(row.params),
                    status=row.status,
                    value=row.value,
                ),
            )
    return latest


def _order(row: ExportRow) -> tuple[object, ...]:
    return (
        row.machine,
        row.commit,
        row.env_name,
        row.benchmark,
        row.param_index,
        row.bench_version,
        row.params,
    )
