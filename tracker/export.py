"""Everything that was measured out of the store: asv's results directory, CSV, JSON lines, Parquet."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from itertools import groupby, islice
from pathlib import Path
from typing import Any, TextIO

from tracker.asvfmt.writing import write_benchmarks, write_machine, write_result_file
from tracker.domain import BenchmarkInfo, MachineInfo, ResultFile
from tracker.errors import UsageError
from tracker.store import Store
from tracker.store.queries.results import StoredResult, stored_results

__all__ = ["COLUMNS", "to_asv", "to_csv", "to_json", "to_parquet"]

# Of every table: one row an attempt, base units, times in UTC, empty where not known.
COLUMNS = (
    "project", "machine", "environment", "commit", "committed_at", "source", "benchmark",
    "version", "params", "unit", "better", "kind", "step", "status", "value", "ci_low", "ci_high",
    "q25", "q75", "number", "repeat", "started_at", "duration", "samples",
)  # fmt: skip
_BATCH = 10_000  # rows that Parquet writes at a time


def to_asv(store: Store, project: str, folder: Path) -> int:
    """Write a project as an asv results directory and return the number of files.

    A file of asv's holds one result of a benchmark at a parameter point: of several attempts the
    latest is written. Directions, kinds and steps are the suite's own words.

    Raises:
        UsageError: No such project, or the folder holds something already.
    """
    if folder.exists() and any(folder.iterdir()):
        raise UsageError(f"{folder}: not empty; results of two exports must not mix")
    machines: dict[str, MachineInfo] = {}
    infos: dict[str, BenchmarkInfo] = {}
    points: dict[str, dict[int, tuple[str, ...]]] = {}
    num_files = 0
    for _, group in groupby(
        stored_results(store, project),
        key=lambda result: (result.machine, result.commit, result.env_name),
    ):
        results = list(group)
        first = results[-1]
        machines[first.machine.name] = first.machine
        for result in results:
            infos[result.suite.name] = result.suite
            points.setdefault(result.suite.name, {})[result.measurement.param_index] = (
                result.measurement.params
            )
        write_result_file(folder, _file(first, results))
        num_files += 1
    for machine in machines.values():
        write_machine(folder, machine)
    if num_files:
        write_benchmarks(folder, infos.values(), points)
    return num_files


def to_csv(store: Store, projects: Iterable[str], stream: TextIO) -> int:
    """Write `COLUMNS` as CSV and return the number of rows; lists are JSON, no value is empty."""
    writer = csv.DictWriter(stream, COLUMNS)
    writer.writeheader()
    num_rows = 0
    for row in _rows(store, projects):
        texts = {key: "" if value is None else value for key, value in row.items()}
        lists = {key: json.dumps(row[key]) for key in ("params", "samples") if row[key] is not None}
        writer.writerow(texts | lists)
        num_rows += 1
    return num_rows


def to_json(store: Store, projects: Iterable[str], stream: TextIO) -> int:
    """Write one JSON object a line, with the keys of `COLUMNS`, and return their number."""
    num_rows = 0
    for row in _rows(store, projects):
        stream.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")
        num_rows += 1
    return num_rows


def to_parquet(store: Store, projects: Iterable[str], file: Path) -> int:
    """Write `COLUMNS` as a Parquet file and return the number of rows.

    Raises:
        UsageError: pyarrow is not installed, or the file cannot be written.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise UsageError("Parquet needs pyarrow: pip install 'pacekeeper[parquet]'") from None
    numbers = ("step", "value", "ci_low", "ci_high", "q25", "q75", "duration")
    types = dict.fromkeys(COLUMNS, pa.string()) | dict.fromkeys(numbers, pa.float64())
    types |= {"number": pa.int64(), "repeat": pa.int64()}
    types |= {"params": pa.list_(pa.string()), "samples": pa.list_(pa.float64())}
    schema = pa.schema([(name, types[name]) for name in COLUMNS])
    rows, num_rows = _rows(store, projects), 0
    try:
        with pq.ParquetWriter(file, schema) as writer:
            while batch := list(islice(rows, _BATCH)):
                writer.write_table(pa.Table.from_pylist(batch, schema=schema))
                num_rows += len(batch)
    except OSError as error:
        raise UsageError(f"{file}: cannot be written: {error.strerror or error}") from None
    return num_rows


def _rows(store: Store, projects: Iterable[str]) -> Iterator[dict[str, Any]]:
    for project in projects:
        for result in stored_results(store, project):
            m, info = result.measurement, result.benchmark
            yield {
                "project": result.project,
                "machine": result.machine.name,
                "environment": result.env_name,
                "commit": result.commit,
                "committed_at": result.committed_at.isoformat(),
                "source": result.source,
                "benchmark": m.benchmark,
                "version": m.version,
                "params": list(m.params),
                "unit": info.unit,
                "better": info.better,
                "kind": info.kind,
                "step": info.step,
                "status": m.status,
                "value": m.value,
                "ci_low": m.ci_low,
                "ci_high": m.ci_high,
                "q25": m.q25,
                "q75": m.q75,
                "number": m.number,
                "repeat": m.repeat,
                "started_at": m.started_at.isoformat() if m.started_at else None,
                "duration": m.duration,
                "samples": None if m.samples is None else list(m.samples),
            }


def _file(first: StoredResult, results: list[StoredResult]) -> ResultFile:
    machine = first.machine
    fields = {key: getattr(machine, key) for key in ("arch", "cpu", "num_cpu", "os", "ram")}
    return ResultFile(
        path="",
        digest="",
        format_version=2,
        machine=machine.name,
        commit=first.commit,
        committed_at=first.committed_at,
        env_name=first.env_name,
        python=first.python,
        requirements=first.requirements,
        env_vars=first.env_vars,
        machine_fields={key: value for key, value in fields.items() if value is not None},
        measurements=tuple(result.measurement for result in results),
    )
