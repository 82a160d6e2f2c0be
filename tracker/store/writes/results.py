"""Writes result files into the store: each completely or not at all; a repeat adds nothing.

Result and sample rows are tuples that go to the driver as they are, all files of a transaction
together. What they refer to (benchmarks, series, revisions) is few rows, and written by SQLAlchemy.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from operator import attrgetter
from statistics import median
from typing import Any

from sqlalchemy import bindparam, case, delete, insert, or_, select, update

from tracker.domain import (
    Launch,
    MachineInfo,
    Measurement,
    NewRun,
    Problem,
    Recorded,
    ResultFile,
    RevisionRecord,
    SeenFile,
)
from tracker.errors import StoreError, UsageError
from tracker.store import tables as t
from tracker.store.base import UtcDateTime, chunks, stored_moment, to_doubles
from tracker.store.identity import attempt_key, environment_of, milliseconds, params_digest
from tracker.store.transaction import Transaction
from tracker.store.writes import reference

# Built once: putting a statement together costs more than SQLite takes to run it.
_RUNS_OF_FILES = select(t.run.c.digest, t.run.c.id).where(
    t.run.c.project_id == bindparam("project"),
    t.run.c.digest.in_(bindparam("digests", expanding=True)),
)
_RUNS_AT = select(t.run.c.revision_id, t.run.c.machine_id).where(
    t.run.c.revision_id.in_(bindparam("revisions", expanding=True))
)
_ATTEMPTS_AT = select(t.result.c.series_id, t.result.c.attempt_key, t.result.c.value).where(
    t.result.c.revision_id == bindparam("revision"),
    t.result.c.series_id.in_(bindparam("series", expanding=True)),
)
_MOVE_REVISION = (
    update(t.revision)
    .where(t.revision.c.id == bindparam("row_id"))
    .values(num_results=t.revision.c.num_results + bindparam("added"))
)
_committed = bindparam("committed", type_=UtcDateTime())
_started = bindparam("measured", type_=UtcDateTime())
_s = t.series.c
_is_newest = or_(_s.last_committed_at.is_(None), _s.last_committed_at <= _committed)
_is_later = or_(_s.last_measured_at.is_(None), _s.last_measured_at < _started)
_MOVE_SERIES = (
    update(t.series)
    .where(_s.id == bindparam("row_id"))
    .values(
        num_results=_s.num_results + bindparam("added"),
        num_points=_s.num_points + bindparam("points"),
        last_value=case((_is_newest, bindparam("value")), else_=_s.last_value),
        last_committed_at=case((_is_newest, _committed), else_=_s.last_committed_at),
        last_measured_at=case((_is_later, _started), else_=_s.last_measured_at),
    )
)
_RESULT_COLUMNS = (
    *("id", "run_id", "series_id", "revision_id", "attempt_key", "started_at"),
    # What follows are attributes of a `Measurement`.
    *("param_index", "status", "value", "ci_low", "ci_high", "q25", "q75", "number", "repeat"),
    "duration",
)
_IDENTITY = attrgetter("benchmark", "version", "params")
_MEASURED = attrgetter(*_RESULT_COLUMNS[6:])


@dataclass(slots=True)
class _Added:
    """What a transaction adds to one series."""

    results: int = 0
    points: int = 0  # revisions at which the series had no result
    measured: datetime | None = None  # the latest start
    committed: datetime | None = None  # of the newest revision added to
    newest: int = 0  # its id


class _Rows:
    """The rows of a transaction, collected file by file and written together."""

    def __init__(self, tx: Transaction, max_results: int) -> None:
        self._tx = tx
        self._ids = iter(tx.reserve(t.result, max_results))
        self._results: list[tuple[Any, ...]] = []
        self._samples: list[tuple[int, bytes]] = []
        self._added: dict[int, _Added] = defaultdict(_Added)
        # Revision -> series -> attempt key -> value: what the store holds, and what is added.
        self._attempts: dict[int, dict[int, dict[int, float | None]]] = defaultdict(dict)
        self._num_at: Counter[int] = Counter()  # results added by revision

    def load_stored(self, revision_id: int, series_ids: Iterable[int]) -> None:
        """Read the attempts that the store holds of these series at a revision."""
        attempts = self._attempts[revision_id]
        ordered = sorted(set(series_ids) - attempts.keys())
        for chunk in chunks(ordered):
            asked = {"revision": revision_id, "series": chunk}
            for series_id, key, value in self._tx.conn.execute(_ATTEMPTS_AT, asked):
                attempts.setdefault(series_id, {})[key] = value

    def add(
        self, run_id: int, revision_id: int, file: ResultFile, series_ids: Sequence[int]
    ) -> Recorded:
        """Take the measurements of a file, each with its series."""
        at_revision = self._attempts[revision_id]
        as_text = not self._tx.is_postgresql
        before = len(self._results)
        problems = []
        for m, series_id in zip(file.measurements, series_ids, strict=True):
            started: datetime | str | None = None
            if m.started_at is None:
                key = attempt_key(m)
            else:
                key, started = _start(m.started_at, as_text)
            attempts = at_revision.get(series_id)
            if attempts is not None and key in attempts:
                if attempts[key] != m.value:
                    problems.append(_changed(file, m))
                continue
            if m.value is not None and not math.isfinite(m.value):
                raise StoreError(f"{m.benchmark}: {m.value} is no value; store it as a status")
            result_id = next(self._ids)
            self._results.append(
                (result_id, run_id, series_id, revision_id, key, started, *_MEASURED(m))
            )
            if m.samples is not None:
                self._samples.append((result_id, to_doubles(m.samples)))
            added = self._added[series_id]
            added.results += 1
            if attempts is None:
                at_revision[series_id] = {key: m.value}
                added.points += 1
            else:
                attempts[key] = m.value
            if added.committed is None or file.committed_at >= added.committed:
                added.committed, added.newest = file.committed_at, revision_id
            if m.started_at and (added.measured is None or m.started_at > added.measured):
                added.measured = m.started_at
        num_added = len(self._results) - before
        self._num_at[revision_id] += num_added
        unchanged = len(file.measurements) - num_added
        return Recorded(run_id, num_added, unchanged, tuple(problems))

    def write(self) -> None:
        """Write all rows, and move what series and revisions say of their results."""
        if not self._results:
            return
        self._tx.insert_tuples(t.result, _RESULT_COLUMNS, self._results)
        self._tx.insert_tuples(t.sample, ("result_id", "values"), self._samples)
        moves = [
            {
                "row_id": series_id,
                "added": added.results,
                "points": added.points,
                "committed": added.committed,
                "value": _middle(self._attempts[added.newest][series_id].values()),
                "measured": added.measured,
            }
            for series_id, added in self._added.items()
        ]
        self._tx.conn.execute(_MOVE_SERIES, moves)
        self._tx.conn.execute(
            _MOVE_REVISION,
            [{"row_id": row_id, "added": number} for row_id, number in self._num_at.items()],
        )


def record_runs(tx: Transaction, project: str, runs: Sequence[NewRun]) -> list[Recorded]:
    """Write result files with everything they refer to; the project is created if need be.

    A file whose bytes were recorded before adds nothing. Otherwise it becomes a run, and each of
    its measurements is added unless one with its series, revision and start time stands already.

    Raises:
        UsageError: A gate does not exist.
    """
    project_id = reference.ensure_project(tx, project)
    digests = list(dict.fromkeys(run.file.digest for run in runs))
    run_ids: dict[str, int] = {}
    for chunk in chunks(digests):
        asked = {"project": project_id, "digests": chunk}
        run_ids |= {row.digest: row.id for row in tx.conn.execute(_RUNS_OF_FILES, asked)}
    new: dict[str, NewRun] = {}
    for run in runs:
        if run.file.digest not in run_ids:
            new.setdefault(run.file.digest, run)
    recorded = _record_new(tx, project_id, list(new.values())) if new else {}
    run_ids |= {digest: answer.run_id for digest, answer in recorded.items()}
    _record_launches(tx, project_id, [(run_ids[run.file.digest], run.launches) for run in runs])
    answers = []
    for run in runs:
        digest, known = run.file.digest, len(run.file.measurements)
        # Taken out, so that the same file a second time is a known one.
        answer = recorded.pop(digest, Recorded(run_ids[digest], added=0, unchanged=known))
        answers.append(answer)
    return answers


def _record_new(tx: Transaction, project_id: int, runs: Sequence[NewRun]) -> dict[str, Recorded]:
    """Write files that the store does not hold; return what each added, by its digest."""
    for gate_id in {run.gate_id for run in runs if run.gate_id is not None}:
        _require_gate(tx, gate_id)
    machine_ids = {
        name: reference.ensure_machine(tx, project_id, machine)
        for name, machine in {run.file.machine: _machine(run.file) for run in runs}.items()
    }
    fingerprint_ids = {
        fingerprint: reference.ensure_fingerprint(tx, fingerprint)
        for fingerprint in dict.fromkeys(run.fingerprint for run in runs)
        if fingerprint is not None
    }
    revision_ids = reference.ensure_revisions(
        tx, project_id, [RevisionRecord(run.file.commit, run.file.committed_at) for run in runs]
    )
    measured = _measured(tx, list(revision_ids.values()))
    rows = _Rows(tx, sum(len(run.file.measurements) for run in runs))
    run_rows, recorded = [], {}
    for run_id, run in zip(tx.reserve(t.run, len(runs)), runs, strict=True):
        file = run.file
        machine_id, revision_id = machine_ids[file.machine], revision_ids[file.commit]
        series_ids = _ensure_series(tx, project_id, machine_id, run)
        if (revision_id, machine_id) in measured:
            rows.load_stored(revision_id, series_ids)
        recorded[file.digest] = rows.add(run_id, revision_id, file, series_ids)
        run_rows.append(
            {
                "id": run_id,
                "project_id": project_id,
                "machine_id": machine_id,
                "revision_id": revision_id,
                "fingerprint_id": run.fingerprint and fingerprint_ids[run.fingerprint],
                "digest": file.digest,
                "path": file.path,
                "env_name": file.env_name,
                "python": file.python,
                "requirements": file.requirements,
                "env_vars": file.env_vars,
                "format_version": file.format_version,
                "source": run.source,
                "recorded_at": datetime.now(UTC),
                "gate_id": run.gate_id,
                "pair": run.pair,
                "arm": run.arm,
                "node": run.node,
                "job_key": tx.job_key,
            }
        )
    tx.conn.execute(insert(t.run), run_rows)
    rows.write()
    return recorded


def _measured(tx: Transaction, revision_ids: Sequence[int]) -> set[tuple[int, int]]:
    """Return the (revision, machine) pairs that have a run: only these can have results."""
    pairs: set[tuple[int, int]] = set()
    for chunk in chunks(revision_ids):
        asked = {"revisions": chunk}
        pairs.update((row[0], row[1]) for row in tx.conn.execute(_RUNS_AT, asked))
    return pairs


@lru_cache(maxsize=4096)  # results that began together share it
def _start(moment: datetime, as_text: bool) -> tuple[int, datetime | str]:
    """Return an attempt's key and its start as the driver takes it."""
    return milliseconds(moment), stored_moment(moment, as_text=as_text)


def record_seen(tx: Transaction, project: str, seen: Mapping[str, SeenFile]) -> None:
    """Remember files by their keys, in place of the rows that they say they had."""
    project_id = reference.ensure_project(tx, project)
    stale = [file.row_id for file in seen.values() if file.row_id is not None]
    for chunk in chunks(stale):
        tx.conn.execute(delete(t.seen_file).where(t.seen_file.c.id.in_(chunk)))
    columns = ("project_id", "digest", "size", "mtime_ns", "num_results", "content")
    as_stored = attrgetter(*columns[2:])
    tx.insert_tuples(
        t.seen_file, columns, [(project_id, key, *as_stored(file)) for key, file in seen.items()]
    )


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


def _ensure_series(tx: Transaction, project_id: int, machine_id: int, run: NewRun) -> list[int]:
    """Return the series of each measurement of a file, in its order."""
    environment = environment_of(run.file.env_name)
    scope = f"series of machine {machine_id} in {environment}"
    known, fresh = tx.known.get(scope, {}), tx.fresh.setdefault(scope, {})
    names = [_IDENTITY(m) for m in run.file.measurements]
    # In the order of the file, so that equal files give equal ids.
    absent = dict.fromkeys(name for name in names if name not in known and name not in fresh)
    if absent:
        benchmark_ids = reference.ensure_benchmarks(
            tx, project_id, dict.fromkeys(name[:2] for name in absent), run.benchmarks
        )
        digests = {params: params_digest(params) for _, _, params in absent}
        point_ids = tx.ensure(
            t.param_point,
            ["digest"],
            [{"digest": digest, "params": list(params)} for params, digest in digests.items()],
        )
        columns = ("benchmark_id", "param_point_id", "machine_id", "environment")
        keys = {
            (name, version, params): (
                benchmark_ids[name, version],
                point_ids[(digests[params],)],
                machine_id,
                environment,
            )
            for name, version, params in absent
        }
        fixed = {"project_id": project_id, "num_results": 0, "num_points": 0}
        rows = [dict(zip(columns, key, strict=True)) | fixed for key in keys.values()]
        ids = tx.ensure(t.series, columns, rows)
        fresh |= {name: ids[key] for name, key in keys.items()}
    return [known.get(name) or fresh[name] for name in names]


def _changed(file: ResultFile, m: Measurement) -> Problem:
    return Problem(
        path=file.path,
        benchmark=m.benchmark,
        reason=f"value {m.value} differs from the one stored for the same start time; kept that",
    )


def _middle(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def _record_launches(
    tx: Transaction, project_id: int, launches: Iterable[tuple[int, Sequence[Launch]]]
) -> None:
    """Write the headers of launch artifacts, each with its run; those known already stay."""
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
            for run_id, of_run in launches
            for launch in of_run
        ],
    )
