"""One asv result file: a commit, an environment, a machine, and what was measured."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any

from tracker.asvfmt.format1 import rows_of_format1
from tracker.asvfmt.jsonfile import JsonObject, is_storable, read_object
from tracker.asvfmt.values import (
    BadValueError,
    read_count,
    read_moment,
    read_number,
    read_samples,
    read_value,
)
from tracker.domain import Measurement, Problem, ResultFile

# Those that hold a cell a parameter point, beside the result.
STATISTICS = (
    "stats_ci_99_a",
    "stats_ci_99_b",
    "stats_q_25",
    "stats_q_75",
    "stats_number",
    "stats_repeat",
    "samples",
)
READ = ("result", "params", "version", "started_at", "duration", *STATISTICS)
COLUMNS = frozenset({*READ, "profile"})
MACHINE_FIELDS = frozenset({"arch", "cpu", "num_cpu", "os", "ram"})
Row = tuple[Any, ...]  # what the file holds for one benchmark in each of the columns `READ`


def read_result_file(path: Path) -> ResultFile | Problem:
    """Return what a result file holds; a `Problem` where the whole file cannot be read.

    Benchmarks that cannot be read stand in the answer's `problems`.
    """
    content = read_object(path)
    if isinstance(content, Problem):
        return content
    try:
        return _read(path, content)
    except BadValueError as error:
        return Problem(str(path), str(error))


def _read(path: Path, content: JsonObject) -> ResultFile:
    data = content.data
    format_version = data.get("version", 1)
    if isinstance(format_version, bool) or format_version not in (1, 2):
        raise BadValueError(f"format version {format_version!r} is unknown (1 and 2 are read)")
    for key, kind in (("commit_hash", str), ("results", dict), ("date", int | float)):
        if key not in data:
            raise BadValueError(f"not a result file: no {key!r}")
        if not isinstance(data[key], kind):
            raise BadValueError(f"not a result file: {key!r} is a {type(data[key]).__name__}")
    commit = data["commit_hash"].strip().lower()
    if not commit or not is_storable(commit):
        raise BadValueError("not a result file: 'commit_hash' is empty")
    committed_at = read_moment(data["date"], "the commit's date")
    if committed_at is None:
        raise BadValueError("not a result file: no commit date")
    params = _texts(data.get("params"))
    requirements = _texts(data.get("requirements"))
    python = data.get("python")
    python = str(python) if python is not None and is_storable(str(python)) else None
    measurements: list[Measurement] = []
    problems: list[Problem] = []
    file = str(path)
    for name, row in _rows(file, data, int(format_version), problems):
        _read_benchmark(file, name, row, content.odd_text, measurements, problems)
    fields = {key: value for key, value in params.items() if key in MACHINE_FIELDS}
    return ResultFile(
        path=file,
        digest=content.digest,
        format_version=int(format_version),
        machine=params.get("machine") or path.parent.name,
        commit=commit,
        committed_at=committed_at,
        env_name=_env_name(data.get("env_name"), python, requirements),
        python=python,
        requirements=requirements,
        env_vars=_texts(data.get("env_vars")),
        machine_fields=fields,
        measurements=tuple(measurements),
        problems=tuple(problems),
    )


def _env_name(raw: Any, python: str | None, requirements: Mapping[str, str]) -> str:
    if isinstance(raw, str) and raw and is_storable(raw):
        return raw
    # Old files of format 1 leave the name to be put together, the way asv does.
    parts = [f"py{python}" if python else ""]
    parts += [f"{key}{value}" for key, value in sorted(requirements.items())]
    return "-".join(part for part in parts if part) or "unknown"


def _texts(raw: Any) -> dict[str, str]:
    """Return a mapping of strings; asv writes nulls and numbers into them at times."""
    if not isinstance(raw, dict):
        return {}
    texts = {str(key): "" if value is None else str(value) for key, value in raw.items()}
    return {k: v for k, v in texts.items() if is_storable(k) and is_storable(v)}


def _rows(
    path: str, data: Mapping[str, Any], format_version: int, problems: list[Problem]
) -> Iterator[tuple[str, Row]]:
    if format_version == 1:
        for name, cells_of in rows_of_format1(data):
            yield name, tuple(map(cells_of.get, READ))
        return
    columns = data.get("result_columns")
    if not isinstance(columns, list) or "result" not in columns:
        raise BadValueError("not a result file: no 'result_columns' with 'result'")
    if not all(isinstance(column, str) for column in columns):
        raise BadValueError("not a result file: 'result_columns' holds more than names")
    unknown = [column for column in columns if column not in COLUMNS]
    if unknown:
        problems.append(Problem(path, f"unknown columns, ignored: {', '.join(unknown)}"))
    place = {column: number for number, column in enumerate(columns)}
    # A column that the file lacks is read at the end of its rows, where there is always a None.
    pick = itemgetter(*(place.get(column, len(columns)) for column in READ))
    padding = [None] * (len(columns) + 1)
    for name, cells in data["results"].items():
        if not isinstance(cells, list):
            reason = f"its row is a {type(cells).__name__}, not a list of columns"
            problems.append(Problem(path, reason, name))
        elif len(cells) > len(columns):
            reason = f"wrong column count: {len(cells)} cells for {len(columns)} columns"
            problems.append(Problem(path, reason, name))
        elif not cells:
            problems.append(Problem(path, "wrong column count: an empty row", name))
        else:
            # asv leaves out the nulls at a row's end.
            yield name, pick(cells + padding[len(cells) :])


def _read_benchmark(
    path: str,
    name: str,
    row: Row,
    odd_text: bool,
    measurements: list[Measurement],
    problems: list[Problem],
) -> None:
    """Append what one benchmark's row holds, to the measurements or to the problems."""

    def problem(reason: str) -> None:
        problems.append(Problem(path, reason, name if is_storable(name) else ascii(name)))

    if odd_text and not _row_is_storable(name, row):
        problem("a name, version or parameter holds text that no database keeps")
        return
    raw_result, raw_params, raw_version, raw_start, raw_duration, *statistics = row
    try:
        points = _points(raw_params)
        results = _cells(raw_result, "result", len(points))
        version = _version(raw_version)
        started_at = read_moment(raw_start, "the start time")
        duration = read_number(raw_duration, "the duration")
    except BadValueError as error:
        problem(str(error))
        return
    size = len(points)
    for column, cells in enumerate(statistics):
        if type(cells) is list and len(cells) == size:
            continue
        try:
            statistics[column] = _cells(cells, STATISTICS[column], size)
        except BadValueError as error:
            problem(f"{error}; ignored")
            statistics[column] = None
    ci_low, ci_high, q25, q75, number, repeat, samples = statistics
    seen = set()
    for index, params in enumerate(points):
        if params in seen:
            problem(f"parameters {params}: stand twice; the first is kept")
            continue
        seen.add(params)
        try:
            status, value = read_value(None if results is None else results[index])
            measurements.append(
                Measurement(
                    name,
                    version,
                    index,
                    params,
                    status,
                    value,
                    ci_low and read_number(ci_low[index], "ci_99"),
                    ci_high and read_number(ci_high[index], "ci_99"),
                    q25 and read_number(q25[index], "q_25"),
                    q75 and read_number(q75[index], "q_75"),
                    number and read_count(number[index], "number"),
                    repeat and read_count(repeat[index], "repeat"),
                    samples and read_samples(samples[index]),
                    started_at,
                    duration,
                )
            )
        except BadValueError as error:
            problem(f"parameters {params}: {error}" if params else str(error))


def _points(raw: Any) -> list[tuple[str, ...]]:
    """Return the parameter points of a row, in the order of its cells."""
    if not raw:
        return [()]
    if not isinstance(raw, list) or not all(isinstance(item, list) for item in raw):
        raise BadValueError("'params' is not a list of lists")
    num_points = math.prod(len(item) for item in raw)
    if num_points > 1_000_000:
        raise BadValueError(f"{num_points} parameter points: more than any suite has")
    return [tuple(str(item) for item in point) for point in itertools.product(*raw)]


def _cells(raw: Any, column: str, num_points: int) -> Sequence[Any] | None:
    """Return a column's cells; None where the file holds null for all of them."""
    if raw is None:
        return None
    if not isinstance(raw, list):
        raise BadValueError(f"{column!r} is a {type(raw).__name__}, not a list")
    if len(raw) != num_points:
        raise BadValueError(
            f"wrong column count: {len(raw)} cells of {column!r} for {num_points} parameter points"
        )
    return raw


def _version(raw: Any) -> str:
    if type(raw) is str:
        return raw
    if raw is None:
        return ""
    if isinstance(raw, bool) or not isinstance(raw, str | int | float):
        raise BadValueError(f"the version is a {type(raw).__name__}, not a string")
    return str(raw)


def _row_is_storable(name: str, row: Row) -> bool:
    _, params, version, *_ = row
    texts = [name, str(version)]
    if isinstance(params, list):
        texts += [str(item) for values in params if isinstance(values, list) for item in values]
    return all(is_storable(text) for text in texts)
