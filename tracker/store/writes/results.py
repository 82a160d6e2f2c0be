"""Writes one result file into the store: completely or not at all; a repeat adds nothing."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median
from typing import Any

from sqlalchemy import bindparam, case, delete, exists, func, insert, or_, select, update

from tracker.domain import (
    Arm,
    BenchmarkInfo,
    Fingerprint,
    Launch,
    MachineInfo,
    Measurement,
    Problem,
    Recorded,
    ResultFile,
    RevisionRecord,
    RunSource,
    SeenFile,
)
from tracker.errors import StoreError, UsageError
from tracker.store import tables as t
from tracker.store.identity import attempt_key, environment_of, params_digest
from tracker.store.transaction import CHUNK, Transaction
from tracker.store.writes import reference

# Built once: putting a statement together costs more than SQLite takes to run it.
_RUN_OF_FILE = select(t.run.c.id, t.run.c.recorded_at).where(
    t.run.c.project_id == bindparam("project"), t.run.c.digest == bindparam("digest")
)
_ATTEMPTS_AT = select(t.result.c.series_id, t.result.c.attempt_key, t.result.c.value).where(
    t.result.c.revision_id == bindparam("revision"),
    t.result.c.series_id.in_(bindparam("series", expanding=True)),
)
_INSERT_RESULTS = insert(t.result)
_MOVE_REVISION = (
    update(t.revision)
    .where(t.revision.c.id == bindparam("row_id"))
    .values(num_results=t.revision.c.num_results + bindparam("added"))
)


@dataclass(frozen=True, slots=True)
class RunFacts:
    """Facts of a run that its file does not contain."""

    source: RunSource
    fingerprint: Fingerprint | None
    launches: Sequence[Launch]
    gate_id: str | None
    pair: int | None
    arm: Arm | None


def record_file(
    tx: Transaction,
    project: str,
    file: ResultFile,
    benchmarks: Mapping[str, BenchmarkInfo],
    facts: RunFacts,
) -> Recorded:
    project_id = reference.ensure_project(tx, project)
    of_file = {"project": project_id, "digest": file.digest}
    known_run = tx.conn.execute(_RUN_OF_FILE, of_file).scalar()
    if known_run is not None:
        _record_launches(tx, project_id, known_run, facts.launches)
        return Recorded(known_run, added=0, unchanged=len(file.measurements))
    if facts.gate_id is not None:
        _require_gate(tx, facts.gate_id)

    machine_id = reference.ensure_machine(tx, project_id, _machine(file))
    revision_id = reference.ensure_revision(
        tx, project_id, RevisionRecord(file.commit, file.committed_at)
    )
    series_ids = _ensure_series(tx, project_id, machine_id, file, benchmarks)
    if tx.is_postgresql:
        _lock_series(tx, series_ids)
    stood = _stored_attempts(tx, revision_id, series_ids)
    run_id = _record_run(tx, project_id, machine_id, revision_id, file, facts)
    if run_id is None:  # another process recorded the same file a moment ago
        return Recorded(None, added=0, unchanged=len(file.measurements))

    rows: list[dict[str, Any]] = []
    samples: dict[tuple[int, int], tuple[float, ...]] = {}
    problems: list[Problem] = []
    unchanged = 0
    for measurement, series_id in zip(file.measurements, series_ids, strict=True):
        key = attempt_key(measurement)
        attempts = stood[series_id]
        if key in attempts:
            unchanged += 1
            if attempts[key] != measurement.value:
                problems.append(_changed(file, measurement))
            continue
        attempts[key] = measurement.value
        rows.append(_result_row(series_id, revision_id, run_id, key, measurement))
        if measurement.samples is not None:
            samples[(series_id, key)] = measurement.samples
    if rows:
        tx.conn.execute(_INSERT_RESULTS, rows)
        _move_counters(tx, run_id, revision_id, file.committed_at, len(rows), stood)
    if samples:
        _record_samples(tx, run_id, samples)
    _record_launches(tx, project_id, run_id, facts.launches)
    return Recorded(run_id, added=len(rows), unchanged=unchanged, problems=tuple(problems))


def record_seen(tx: Transaction, project: str, seen: Mapping[str, SeenFile]) -> None:
    """Replace what is remembered of the files with these digests."""
    project_id = reference.ensure_project(tx, project)
    rows = [
        {
            "project_id": project_id,
            "digest": digest,
            "size": file.size,
            "mtime_ns": file.mtime_ns,
            "num_results": file.num_results,
        }
        for digest, file in sorted(seen.items())
    ]
    if not rows:
        return
    c = t.seen_file.c
    same = (c.project_id == bindparam("of_project"), c.digest == bindparam("of_digest"))
    asked = [{"of_project": row["project_id"], "of_digest": row["digest"]} for row in rows]
    tx.conn.execute(delete(t.seen_file).where(*same), asked)
    tx.insert_missing(t.seen_file, rows)


def _machine(file: ResultFile) -> MachineInfo:
    fields = file.machine_fields
    return MachineInfo(
        file.machine,
        arch=fields.get("arch"),
        cpu=fields.get("cpu"),
        num_cpu=fields.get("num_cpu"),
        os=fields.get("os"),
        ram=fields.get("ram"),
    )


def _require_gate(tx: Transaction, gate_id: str) -> None:
    if tx.conn.execute(select(t.gate.c.id).where(t.gate.c.id == gate_id)).scalar() is None:
        raise UsageError(f"no gate {gate_id!r} in the store; open one with begin_gate first")


def _ensure_series(
    tx: Transaction,
    project_id: int,
    machine_id: int,
    file: ResultFile,
    benchmarks: Mapping[str, BenchmarkInfo],
) -> list[int]:
    """Return the series of each measurement of the file, in its order."""
    measurements = file.measurements
    benchmark_ids = reference.ensure_benchmarks(
        tx, project_id, {(m.benchmark, m.version): None for m in measurements}, benchmarks
    )
    digests = {params: params_digest(params) for params in {m.params for m in measurements}}
    point_ids = tx.ensure(
        t.param_point,
        ["digest"],
        [{"digest": digest, "params": list(params)} for params, digest in digests.items()],
    )
    environment = environment_of(file.env_name)
    keys = [
        (
            benchmark_ids[(m.benchmark, m.version)],
            point_ids[(digests[m.params],)],
            machine_id,
            environment,
        )
        for m in measurements
    ]
    columns = ("benchmark_id", "param_point_id", "machine_id", "environment")
    fixed = {"project_id": project_id, "num_results": 0, "num_points": 0}
    ids = tx.ensure(
        t.series, columns, [dict(zip(columns, key, strict=True)) | fixed for key in keys]
    )
    return [ids[key] for key in keys]


def _lock_series(tx: Transaction, series_ids: Sequence[int]) -> None:
    # Everything below reads, then writes what follows from it; two processes at the same
    # series take turns. SQLite's write lock has seen to that already.
    ordered = sorted(set(series_ids))
    for start in range(0, len(ordered), CHUNK):
        chunk = ordered[start : start + CHUNK]
        tx.conn.execute(
            select(t.series.c.id)
            .where(t.series.c.id.in_(chunk))
            .order_by(t.series.c.id)
            .with_for_update()
        )


def _stored_attempts(
    tx: Transaction, revision_id: int, series_ids: Sequence[int]
) -> dict[int, dict[int, float | None]]:
    """Return the stored attempts: series -> attempt key -> value."""
    stood: dict[int, dict[int, float | None]] = defaultdict(dict)
    ordered = sorted(set(series_ids))
    for start in range(0, len(ordered), CHUNK):
        asked = {"revision": revision_id, "series": ordered[start : start + CHUNK]}
        for series_id, key, value in tx.conn.execute(_ATTEMPTS_AT, asked):
            stood[series_id][key] = value
    return stood


def _record_run(
    tx: Transaction,
    project_id: int,
    machine_id: int,
    revision_id: int,
    file: ResultFile,
    facts: RunFacts,
) -> int | None:
    fingerprint_id = None
    if facts.fingerprint is not None:
        fingerprint_id = reference.ensure_fingerprint(tx, facts.fingerprint)
    row = {
        "project_id": project_id,
        "machine_id": machine_id,
        "revision_id": revision_id,
        "fingerprint_id": fingerprint_id,
        "digest": file.digest,
        "path": file.path,
        "env_name": file.env_name,
        "python": file.python,
        "requirements": file.requirements,
        "env_vars": file.env_vars,
        "format_version": file.format_version,
        "source": facts.source,
        "recorded_at": datetime.now(UTC),
        "gate_id": facts.gate_id,
        "pair": facts.pair,
        "arm": facts.arm,
    }
    if not tx.is_postgresql:
        return tx.insert(t.run, row)
    tx.insert_missing(t.run, [row])
    of_file = {"project": project_id, "digest": file.digest}
    stored = tx.conn.execute(_RUN_OF_FILE, of_file).one()
    return int(stored.id) if stored.recorded_at == row["recorded_at"] else None


def _result_row(
    series_id: int, revision_id: int, run_id: int, key: int, m: Measurement
) -> dict[str, Any]:
    if m.value is not None and not math.isfinite(m.value):
        raise StoreError(f"{m.benchmark}: {m.value} is no value; store it as a status")
    return {
        "series_id": series_id,
        "revision_id": revision_id,
        "attempt_key": key,
        "run_id": run_id,
        "param_index": m.param_index,
        "status": m.status,
        "value": m.value,
        "ci_low": m.ci_low,
        "ci_high": m.ci_high,
        "q25": m.q25,
        "q75": m.q75,
        "number": m.number,
        "repeat": m.repeat,
        "started_at": m.started_at,
        "duration": m.duration,
    }


def _changed(file: ResultFile, m: Measurement) -> Problem:
    return Problem(
        path=file.path,
        benchmark=m.benchmark,
        reason=f"value {m.value} differs from the one stored for the same start time; kept that",
    )


_s, _r = t.series.c, t.result.c
_added = (
    select(
        _r.series_id,
        func.count().label("num"),
        func.max(_r.value).label("value"),
        func.max(_r.started_at).label("measured"),
    )
    .where(_r.run_id == bindparam("run"))
    .group_by(_r.series_id)
    .subquery("added")
)
_stood_before = (
    exists()
    .where(_r.series_id == _s.id, _r.revision_id == bindparam("revision"))
    .where(_r.run_id != bindparam("run"))
    .correlate(t.series)
)
_is_newest = or_(_s.last_committed_at.is_(None), _s.last_committed_at <= bindparam("committed"))
_is_later = or_(_s.last_measured_at.is_(None), _s.last_measured_at < _added.c.measured)
_MOVE_SERIES = (
    update(t.series)
    .where(_s.id == _added.c.series_id)
    .values(
        num_results=_s.num_results + _added.c.num,
        num_points=_s.num_points + case((_stood_before, 0), else_=1),
        last_value=case((_is_newest, _added.c.value), else_=_s.last_value),
        last_committed_at=case((_is_newest, bindparam("committed")), else_=_s.last_committed_at),
        last_measured_at=case((_is_later, _added.c.measured), else_=_s.last_measured_at),
    )
)
_SET_LAST_VALUE = (
    update(t.series)
    .where(_s.id == bindparam("row_id"), _s.last_committed_at == bindparam("committed"))
    .values(last_value=bindparam("value"))
)


def _move_counters(
    tx: Transaction,
    run_id: int,
    revision_id: int,
    committed_at: datetime,
    num_added: int,
    attempts: Mapping[int, Mapping[int, float | None]],
) -> None:
    """Move what series and revision say of their results by the rows that the run added."""
    run = {"run": run_id, "revision": revision_id, "committed": committed_at}
    tx.conn.execute(_MOVE_SERIES, run)
    tx.conn.execute(_MOVE_REVISION, {"row_id": revision_id, "added": num_added})
    # A median of several is no matter for SQL.
    several = [
        {"row_id": series_id, "committed": committed_at, "value": _middle(found.values())}
        for series_id, found in sorted(attempts.items())
        if len(found) > 1
    ]
    if several:
        tx.conn.execute(_SET_LAST_VALUE, several)


def _middle(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def _record_samples(
    tx: Transaction, run_id: int, samples: Mapping[tuple[int, int], tuple[float, ...]]
) -> None:
    columns = (t.result.c.id, t.result.c.series_id, t.result.c.attempt_key)
    stored = tx.conn.execute(select(*columns).where(t.result.c.run_id == run_id))
    rows = [
        {"result_id": result_id, "values": samples[(series_id, key)]}
        for result_id, series_id, key in stored
        if (series_id, key) in samples
    ]
    tx.conn.execute(insert(t.sample), rows)


def _record_launches(
    tx: Transaction, project_id: int, run_id: int, launches: Sequence[Launch]
) -> None:
    tx.insert_missing(
        t.artifact,
        [
            {
                "project_id": project_id,
                "run_id": run_id,
                "launch_id": launch.launch_id,
                "digest": launch.digest,
                "path": launch.path,
                "benchmark": launch.benchmark,
                "header": launch.header,
            }
            for launch in launches
        ],
    )
