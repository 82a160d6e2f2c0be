"""The first page: what is worse, since when, how fresh, how often the gate raised a false alarm."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, func, select

from tracker.domain import LevelShift, Overview, RevisionInfo, SeriesInfo
from tracker.store import tables as t
from tracker.store.queries.alerts import load_alerts
from tracker.store.queries.gates import load_calibration, load_gates
from tracker.store.queries.problems import load_problems
from tracker.store.queries.projects import find_machine, find_project, project_infos
from tracker.store.queries.revisions import COLUMNS, revision_of
from tracker.store.queries.series import select_series, series_of
from tracker.store.queries.shifts import shift_of, with_shifts
from tracker.store.store import Store

NUM_GATES = 20

Shifted = tuple[SeriesInfo, LevelShift]


def overview(store: Store, project: str, *, machine: str | None = None) -> Overview:
    """Return the state of a project, of one machine or of all.

    `worse` and `better` hold the series whose latest stored level shift still stands: no later
    shift followed it, and no other version of the benchmark was measured at a newer commit
    since. The largest relative change comes first.

    Raises:
        UsageError: No such project or machine.
    """
    with store.reading() as conn:
        project_id = find_project(conn, project)
        machine_id = None if machine is None else find_machine(conn, project_id, machine)
        shifted = _standing_shifts(conn, project_id, machine_id)
        newest = _newest(conn, project_id, machine_id)
        return Overview(
            project=project_infos(conn, project_id)[0],
            worse=tuple(item for item in shifted if item[1].worse is True),
            better=tuple(item for item in shifted if item[1].worse is False),
            alerts=tuple(load_alerts(conn, project_id, ("open", "acked"))),
            gates=tuple(
                gate
                for gate in load_gates(conn, project_id, NUM_GATES, with_identical=False)
                if machine is None or gate.machine == machine
            ),
            calibration=load_calibration(conn, project_id),
            problems=tuple(load_problems(conn, project_id)),
            num_failed_last=0 if newest is None else _num_failed(conn, newest.id, machine_id),
            newest=newest,
        )


def _standing_shifts(conn: Connection, project_id: int, machine_id: int | None) -> list[Shifted]:
    c, s = t.change_point.c, t.series.c
    statement = with_shifts(select_series(s.param_point_id, s.machine_id)).where(
        s.project_id == project_id, c.is_latest
    )
    if machine_id is not None:
        statement = statement.where(s.machine_id == machine_id)
    rows = conn.execute(statement).all()
    fresh = _last_commits(conn, project_id) if rows else {}
    shifts = []
    for row in rows:
        key = (row.benchmark, row.param_point_id, row.machine_id, row.environment)
        if row.last_committed_at is None or row.last_committed_at < fresh[key]:
            continue
        series = series_of(row)
        shifts.append((series, shift_of(row, series.better)))
    shifts.sort(key=lambda item: (-abs(item[1].effect), item[0].metric, item[0].id))
    return shifts


def _last_commits(conn: Connection, project_id: int) -> dict[tuple[str, int, int, str], datetime]:
    """Return the newest commit time measured by any version of a benchmark at its point."""
    s = t.series.c
    columns = (t.benchmark.c.name, s.param_point_id, s.machine_id, s.environment)
    statement = (
        select(*columns, func.max(s.last_committed_at).label("newest"))
        .join(t.benchmark, t.benchmark.c.id == s.benchmark_id)
        .where(s.project_id == project_id, s.last_committed_at.is_not(None))
        .group_by(*columns)
    )
    return {(row[0], row[1], row[2], row[3]): row[4] for row in conn.execute(statement)}


def _newest(conn: Connection, project_id: int, machine_id: int | None) -> RevisionInfo | None:
    r = t.revision.c
    statement = select(*COLUMNS).where(r.project_id == project_id, r.num_results > 0)
    if machine_id is not None:
        measured = select(t.run.c.id).where(
            t.run.c.revision_id == r.id, t.run.c.machine_id == machine_id
        )
        statement = statement.where(measured.exists())
    row = conn.execute(statement.order_by(r.committed_at.desc(), r.id.desc()).limit(1)).first()
    return None if row is None else revision_of(row)


def _num_failed(conn: Connection, revision_id: int, machine_id: int | None) -> int:
    """Count the series whose every attempt at the revision failed or ran out of time."""
    r = t.result.c
    statement = select(r.series_id, r.status).where(r.revision_id == revision_id)
    if machine_id is not None:
        statement = statement.join(t.series, t.series.c.id == r.series_id).where(
            t.series.c.machine_id == machine_id
        )
    statuses: dict[int, set[str]] = {}
    for series_id, status in conn.execute(statement):
        statuses.setdefault(series_id, set()).add(status)
    return sum(1 for seen in statuses.values() if "ok" not in seen and seen & {"failed", "timeout"})
