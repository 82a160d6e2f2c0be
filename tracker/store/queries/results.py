"""Every stored result with all that it refers to: what an export writes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select

from tracker.domain import BenchmarkInfo, MachineInfo, Measurement, metric_name
from tracker.metrics import described, rules_from_text
from tracker.store import tables as t
from tracker.store.queries.projects import find_project
from tracker.store.store import Store

__all__ = ["StoredResult", "stored_results"]

_r, _b, _m = t.result.c, t.benchmark.c, t.machine.c


@dataclass(frozen=True, slots=True)
class StoredResult:
    """One attempt, its benchmark as the suite describes it, and as the project's rules do."""

    project: str
    machine: MachineInfo
    commit: str
    committed_at: datetime
    env_name: str
    python: str | None
    requirements: dict[str, str]
    env_vars: dict[str, str]
    source: str
    suite: BenchmarkInfo
    benchmark: BenchmarkInfo
    measurement: Measurement


def stored_results(store: Store, project: str) -> Iterator[StoredResult]:
    """Yield every attempt, those of one machine, commit and environment together, oldest first.

    Raises:
        UsageError: No such project.
    """
    statement = (
        select(
            *(_r.param_index, _r.status, _r.value, _r.ci_low, _r.ci_high, _r.q25, _r.q75),
            *(_r.number, _r.repeat, _r.started_at, _r.duration, t.sample.c["values"]),
            *(t.run.c.env_name, t.run.c.python, t.run.c.requirements, t.run.c.env_vars),
            *(t.run.c.source, t.revision.c.commit_hash, t.revision.c.committed_at),
            *(_b.name, _b.version, _b.type, _b.unit, _b.better, _b.kind, _b.step, _b.param_names),
            *(_m.name.label("machine"), _m.arch, _m.cpu, _m.num_cpu, _m.os, _m.ram),
            *(t.param_point.c.params, t.project.c.metric_rules),
        )
        .join(t.run, t.run.c.id == _r.run_id)
        .join(t.revision, t.revision.c.id == _r.revision_id)
        .join(t.series, t.series.c.id == _r.series_id)
        .join(t.project, t.project.c.id == t.series.c.project_id)
        .join(t.benchmark, _b.id == t.series.c.benchmark_id)
        .join(t.machine, _m.id == t.series.c.machine_id)
        .join(t.param_point, t.param_point.c.id == t.series.c.param_point_id)
        .outerjoin(t.sample, t.sample.c.result_id == _r.id)
    )
    with store.reading() as conn:
        project_id = find_project(conn, project)
        ordered = statement.where(t.series.c.project_id == project_id).order_by(
            _m.name, t.revision.c.committed_at, t.revision.c.id, t.run.c.env_name,
            _r.started_at.is_not(None), _r.started_at, _r.id,
        )  # fmt: skip
        for row in conn.execute(ordered.execution_options(yield_per=1000)):
            yield _result_of(project, row)


def _result_of(project: str, row: Any) -> StoredResult:
    suite = BenchmarkInfo(
        row.name, row.version, row.type, row.unit, row.better, row.kind,
        tuple(row.param_names), row.step,
    )  # fmt: skip
    measurement = Measurement(
        benchmark=row.name,
        version=row.version,
        param_index=row.param_index,
        params=tuple(row.params),
        status=row.status,
        value=row.value,
        ci_low=row.ci_low,
        ci_high=row.ci_high,
        q25=row.q25,
        q75=row.q75,
        number=row.number,
        repeat=row.repeat,
        samples=None if row[11] is None else tuple(row[11]),
        started_at=row.started_at,
        duration=row.duration,
    )
    rules = rules_from_text(row.metric_rules)
    return StoredResult(
        project=project,
        machine=MachineInfo(row.machine, row.arch, row.cpu, row.num_cpu, row.os, row.ram),
        commit=row.commit_hash,
        committed_at=row.committed_at,
        env_name=row.env_name,
        python=row.python,
        requirements=dict(row.requirements or {}),
        env_vars=dict(row.env_vars or {}),
        source=row.source,
        suite=suite,
        benchmark=described(metric_name(row.name, measurement.params), suite, rules),
        measurement=measurement,
    )
