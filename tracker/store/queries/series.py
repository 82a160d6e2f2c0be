"""Series: listed, searched, and read by id."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Select, select

from tracker.domain import SeriesInfo
from tracker.errors import UsageError
from tracker.metrics import described, rules_from_text
from tracker.store import tables as t
from tracker.store.base import chunks
from tracker.store.queries.projects import find_machine, find_project
from tracker.store.store import Store

_s = t.series.c


def list_series(
    store: Store,
    project: str,
    *,
    machine: str | None = None,
    search: str | None = None,
    kind: str | None = None,
    unit: str | None = None,
    limit: int | None = None,
) -> list[SeriesInfo]:
    """Return a project's series by benchmark name, then parameters, machine, environment.

    Args:
        store: Where to look.
        project: Its name.
        machine: Only this machine.
        search: Only names that hold this text (of `benchmark(params)`), whatever the case;
            words apart from each other must all be there.
        kind: Only this kind of metric.
        unit: Only this unit.
        limit: At most so many.
    """
    with store.reading() as conn:
        project_id = find_project(conn, project)
        statement = select_series().where(_s.project_id == project_id)
        if machine is not None:
            statement = statement.where(_s.machine_id == find_machine(conn, project_id, machine))
        listed = [series_of(row) for row in conn.execute(statement)]
    words = (search or "").lower().split()
    fitting = [
        series
        for series in listed
        if kind in (None, series.kind)
        and unit in (None, series.unit)
        and all(word in series.metric.lower() for word in words)
    ]
    return sorted(fitting, key=series_order)[:limit]


def series_order(series: SeriesInfo) -> tuple[Any, ...]:
    """Return the key by which lists of series are sorted."""
    return series.benchmark, series.params, series.machine, series.environment, series.id


def get_series(store: Store, series_id: int) -> SeriesInfo:
    """Return one series.

    Raises:
        UsageError: No such series.
    """
    with store.reading() as conn:
        return load_series(conn, series_id)


def load_series(conn: Connection, series_id: int) -> SeriesInfo:
    row = conn.execute(select_series().where(_s.id == series_id)).first()
    if row is None:
        raise UsageError(f"no series {series_id} in the store")
    return series_of(row)


def load_several(conn: Connection, series_ids: Sequence[int]) -> list[SeriesInfo]:
    return [
        series_of(row)
        for chunk in chunks(series_ids)
        for row in conn.execute(select_series().where(_s.id.in_(chunk)))
    ]


def select_series(*more: Any) -> Select[Any]:
    """Return the statement whose rows `series_of` reads, with `more` columns at its end."""
    return (
        select(
            _s.id.label("series_id"),
            t.project.c.name.label("project"),
            t.benchmark.c.name.label("benchmark"),
            t.benchmark.c.version,
            t.benchmark.c.unit,
            t.benchmark.c.better,
            t.benchmark.c.kind,
            t.benchmark.c.step,
            t.benchmark.c.param_names,
            t.project.c.metric_rules,
            t.param_point.c.params,
            t.machine.c.name.label("machine"),
            _s.environment,
            _s.num_points,
            _s.last_value,
            _s.last_measured_at,
            _s.last_committed_at,
            *more,
        )
        .select_from(t.series)
        .join(t.project, t.project.c.id == _s.project_id)
        .join(t.benchmark, t.benchmark.c.id == _s.benchmark_id)
        .join(t.param_point, t.param_point.c.id == _s.param_point_id)
        .join(t.machine, t.machine.c.id == _s.machine_id)
    )


def series_of(row: Any) -> SeriesInfo:
    """Return the series of a row: what the suite says of it, completed by the project's rules."""
    series = SeriesInfo(
        id=row.series_id,
        project=row.project,
        benchmark=row.benchmark,
        version=row.version,
        unit=row.unit,
        better=row.better,
        kind=row.kind,
        params=tuple(row.params),
        param_names=tuple(row.param_names),
        machine=row.machine,
        environment=row.environment,
        num_points=row.num_points,
        last_value=row.last_value,
        last_measured=row.last_measured_at,
        step=row.step,
    )
    return described(series.metric, series, rules_from_text(row.metric_rules))
