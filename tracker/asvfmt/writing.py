"""asv's result files and `benchmarks.json` from the domain's values: what `asvfmt` reads, written."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tracker.asvfmt.benchmarks import API_VERSION
from tracker.asvfmt.benchmarks import FILE_NAME as BENCHMARKS_FILE
from tracker.asvfmt.directory import MACHINE_FILE
from tracker.asvfmt.resultfile import STATISTICS
from tracker.domain import BenchmarkInfo, MachineInfo, Measurement, ResultFile

__all__ = ["write_benchmarks", "write_machine", "write_result_file"]

FORMAT_VERSION = 2
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_COLUMNS = ("result", "params", "version", "started_at", "duration", *STATISTICS)

Grid = Sequence[Sequence[str]]  # the values of each parameter


def write_result_file(results_dir: Path, file: ResultFile) -> Path:
    """Write one result file of format 2 under its machine's folder and return its path.

    Of several measurements of one benchmark at one parameter point the last one stays, of several
    versions the one measured last: asv's file has room for one.
    """
    by_name: dict[str, list[Measurement]] = {}
    for m in file.measurements:
        kept = by_name.setdefault(m.benchmark, [])
        if kept and kept[-1].version != m.version:
            kept.clear()
        kept.append(m)
    content = {
        "commit_hash": file.commit,
        "env_name": file.env_name,
        "date": _milliseconds(file.committed_at),
        "params": file.machine_fields | {"machine": file.machine, "python": file.python or ""},
        "python": file.python or "",
        "requirements": file.requirements,
        "env_vars": file.env_vars,
        "result_columns": list(_COLUMNS),
        "results": {name: _row(ms) for name, ms in sorted(by_name.items())},
        "durations": {},
        "version": FORMAT_VERSION,
    }
    folder = results_dir / _file_name(file.machine)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{file.commit[:8]}-{_file_name(file.env_name)}.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def write_machine(results_dir: Path, machine: MachineInfo) -> None:
    """Write `machine.json` of one machine."""
    folder = results_dir / _file_name(machine.name)
    folder.mkdir(parents=True, exist_ok=True)
    facts = {key: getattr(machine, key) for key in ("arch", "cpu", "num_cpu", "os", "ram")}
    known = {key: value for key, value in facts.items() if value is not None}
    content = {"machine": machine.name, "version": 1} | known
    (folder / MACHINE_FILE).write_text(json.dumps(content), encoding="utf-8")


def write_benchmarks(
    results_dir: Path,
    infos: Iterable[BenchmarkInfo],
    points: Mapping[str, Mapping[int, tuple[str, ...]]],
) -> None:
    """Write `benchmarks.json`; of several versions of a benchmark the last one is described.

    Args:
        results_dir: Where it goes.
        infos: The benchmarks.
        points: Parameter points by benchmark, then by index.
    """
    content: dict[str, Any] = {}
    for info in infos:
        entry = {
            "name": info.name,
            "code": "",
            "type": info.type,
            "unit": info.unit,
            "version": info.version,
            "param_names": list(info.param_names),
            "params": grid_of(points.get(info.name, {})) or [],
            "kind": info.kind,
            "step": info.step,
        }
        content[info.name] = entry | ({"better": info.better} if info.better else {})
    path = results_dir / BENCHMARKS_FILE
    path.write_text(json.dumps(content | {"version": API_VERSION}), encoding="utf-8")


def grid_of(points: Mapping[int, tuple[str, ...]]) -> Grid | None:
    """Return the values of each parameter whose product, in order, holds `points` by index; or None.

    asv keeps values of parameters, not points: results of other tools may fit no such grid.
    """
    ordered = [points[index] for index in sorted(points)]
    if not ordered or len({len(point) for point in ordered}) != 1:
        return None
    grid = [list(dict.fromkeys(values)) for values in zip(*ordered, strict=True)]
    sizes = [len(values) for values in grid]
    for index, point in points.items():
        place = 0
        for size, values, value in zip(sizes, grid, point, strict=True):
            place = place * size + values.index(value)
        if place != index:
            return None
    return grid


def _row(measurements: Sequence[Measurement]) -> list[Any]:
    points = {m.param_index: m.params for m in measurements}
    grid = grid_of(points)
    at: Mapping[int, Measurement]
    if grid is None:  # one parameter whose values are the points
        distinct = {m.params: m for m in measurements}
        grid = [[", ".join(params) for params in distinct]]
        at = dict(enumerate(distinct.values()))
    else:
        at = {m.param_index: m for m in measurements}
    newest = max(measurements, key=lambda m: m.started_at or _EPOCH)
    size = math.prod(len(values) for values in grid)
    cells: dict[str, Any] = {
        "result": [_value(at.get(index)) for index in range(size)],
        "params": grid,
        "version": newest.version,
        "started_at": None if newest.started_at is None else _milliseconds(newest.started_at),
        "duration": newest.duration,
    }
    names = ("ci_low", "ci_high", "q25", "q75", "number", "repeat", "samples")
    for column, name in zip(STATISTICS, names, strict=True):
        values = [getattr(at[index], name) if index in at else None for index in range(size)]
        cells[column] = None if all(value is None for value in values) else values
    row = [cells[column] for column in _COLUMNS]
    while row[-1] is None:  # as asv does
        row.pop()
    return row


def _value(m: Measurement | None) -> float | None:
    """null is failed, NaN skipped; a point that the store does not have was not measured."""
    if m is None or m.status == "skipped":
        return math.nan
    return m.value


def _milliseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def _file_name(name: str) -> str:
    """Return a name that is a file's: it leaves its folder nowhere, whatever an input called it."""
    return "".join(c if c.isalnum() or c in "-_. +=" else "_" for c in name).lstrip(".") or "_"
