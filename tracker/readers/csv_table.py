"""CSV with a header that says what each column is: one row, one value.

`benchmark` and `value` must be there; `unit`, `better`, `kind`, `commit`, `committed_at`,
`measured_at`, `machine`, `tool_version` may be, and `param:NAME` for each parameter. An empty value
is a failure, `nan` was skipped.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any, get_args

from tracker.domain import Better, Kind
from tracker.errors import did_you_mean
from tracker.readers.tool import NotReadable, ToolReader, ToolRun, Value, moment
from tracker.readers.units import to_base

__all__ = ["READER"]

_RUN = ("commit", "committed_at", "measured_at", "machine", "tool_version")
_COLUMNS = ("benchmark", "value", "unit", "better", "kind", *_RUN)
_PARAM = "param:"

Row = Mapping[str, str]


def _parse(rows: Any) -> Iterator[ToolRun]:
    for key, members in groupby(
        rows, key=lambda row: tuple(row.get(name) or None for name in _RUN)
    ):
        listed = list(members)
        commit, committed_at, measured_at, machine, version = key
        yield ToolRun(
            values=tuple(_value(row) for row in listed),
            source=listed,
            commit=commit,
            committed_at=_moment(committed_at, "committed_at"),
            measured_at=_moment(measured_at, "measured_at"),
            machine=machine,
            tool_version=version,
        )


def _value(row: Row) -> Value:
    name, raw = row["benchmark"], row["value"].strip()
    better, kind = row.get("better") or None, row.get("kind") or None
    if better not in (None, *get_args(Better)):
        raise NotReadable(f"better is {better!r}, not one of {', '.join(get_args(Better))}")
    if kind not in (None, *get_args(Kind)):
        raise NotReadable(f"kind is {kind!r}, not one of {', '.join(get_args(Kind))}")
    try:
        number = float(raw) if raw else None
    except ValueError:
        raise NotReadable(f"the value of {name!r} is {raw!r}, not a number") from None
    value, unit = to_base(number or 0.0, row.get("unit") or "unit")
    if kind is None:
        kind = "timing" if unit == "s" else "rate" if "/s" in unit else "other"
    params = tuple(
        (key.removeprefix(_PARAM), text)
        for key, text in row.items()
        if key.startswith(_PARAM) and text  # an empty cell: the benchmark has no such parameter
    )
    missing = "skipped" if number is not None and number != number else "failed"
    return Value(
        name,
        None if number is None else value,
        unit,
        better,  # type: ignore[arg-type]
        kind,  # type: ignore[arg-type]
        params=params,
        status=missing,  # type: ignore[arg-type]
    )


def _moment(text: str | None, column: str) -> Any:
    parsed = moment(text) if text else None
    if text and parsed is None:
        raise NotReadable(f"{column} is {text!r}, not an ISO time")
    return parsed


def _load(text: str) -> list[Row]:
    reader = csv.DictReader(io.StringIO(text), restkey="", strict=True)
    header = list(reader.fieldnames or ())
    for column in header:
        if column not in _COLUMNS and not column.startswith(_PARAM):
            mend = did_you_mean(column, _COLUMNS)
            raise NotReadable(f"unknown column {column!r}; {mend}, or {_PARAM}NAME")
    missing = {"benchmark", "value"} - set(header)
    if missing:
        raise NotReadable(f"no column {', '.join(sorted(missing))}")
    try:
        rows: list[Row] = list(reader)
    except csv.Error as error:
        raise NotReadable(f"not CSV: {error} at line {reader.line_num}") from None
    for line, row in enumerate(rows, start=2):
        if "" in row or None in row.values():
            raise NotReadable(f"row {line} has not as many cells as the header")
    return rows


def _fits(head: bytes) -> bool:
    columns = (
        head.partition(b"\n")[0]
        .strip()
        .removeprefix(b"\xef\xbb\xbf")
        .replace(b'"', b"")
        .split(b",")
    )
    return {b"benchmark", b"value"} <= set(columns)


READER = ToolReader("csv", _fits, _parse, load=_load)
