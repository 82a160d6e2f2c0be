"""What says how far the gate and the detector can be trusted."""

from __future__ import annotations

from collections import Counter

from sqlalchemy import func, select

from tracker.domain import VALID_EXIT_CODES, CalibrationInfo, CalibrationRecord, SearchedSeries
from tracker.store import tables as t
from tracker.store.queries.projects import find_machine, find_project
from tracker.store.store import Store


def calibration_records(
    store: Store, project: str, *, machine: str | None = None
) -> list[CalibrationRecord]:
    """Return the A/A gates of each machine counted up to the end of each day on which one ran.

    Raises:
        UsageError: No such project or machine.
    """
    g = t.gate.c
    with store.reading() as conn:
        project_id = find_project(conn, project)
        statement = (
            select(t.machine.c.name, g.started_at, g.exit_code)
            .join(t.machine, t.machine.c.id == g.machine_id)
            .where(
                g.project_id == project_id,
                g.base_id == g.head_id,
                g.exit_code.in_(VALID_EXIT_CODES),
            )
            .order_by(g.started_at)
        )
        if machine is not None:
            statement = statement.where(g.machine_id == find_machine(conn, project_id, machine))
        rows = conn.execute(statement).all()
    if not rows:
        return []
    from tracker.stats.calibration import upper_bound  # scipy, only where there is a rate to bound

    gates: Counter[str] = Counter()
    blocks: Counter[str] = Counter()
    days = {}
    for name, started_at, exit_code in rows:
        gates[name] += 1
        blocks[name] += exit_code == 1
        days[name, started_at.date()] = (started_at, gates[name], blocks[name])
    return [
        CalibrationRecord(name, when, CalibrationInfo(n, k, upper_bound(k, n)))
        for (name, _), (when, n, k) in days.items()
    ]


def searched_series(store: Store, project: str) -> SearchedSeries:
    """Return how many series were searched for level shifts, and what each algorithm found.

    Raises:
        UsageError: No such project.
    """
    s, c = t.series.c, t.change_point.c
    with store.reading() as conn:
        project_id = find_project(conn, project)
        num_series, num_searched = conn.execute(
            select(func.count(s.id), func.count(t.detection.c.series_id))
            .outerjoin(t.detection, t.detection.c.series_id == s.id)
            .where(s.project_id == project_id)
        ).one()
        counts = conn.execute(
            select(c.algorithm, func.count())
            .join(t.series, s.id == c.series_id)
            .where(s.project_id == project_id)
            .group_by(c.algorithm)
            .order_by(c.algorithm)
        ).all()
    return SearchedSeries(num_series, num_searched, tuple((row[0], row[1]) for row in counts))
