"""Google Benchmark's JSON: one row a repetition, and aggregates of them in the same list.

Each benchmark gives `real_time` and `cpu_time`, the rates that the library knows
(`items_per_second`, `bytes_per_second`), and the user's counters, whose direction nobody states.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any

from tracker.readers.content import has_keys
from tracker.readers.tool import (
    NotReadable,
    ToolReader,
    ToolRun,
    Value,
    moment,
    number,
    rate,
    seconds,
)

__all__ = ["READER"]

SCHEMA = 1  # `json_schema_version`, which old versions leave out
_RATES = {"items_per_second": "items/s", "bytes_per_second": "bytes/s"}
# What describes a row; every other number in it is a counter.
_KNOWN = frozenset(
    {"name", "run_name", "run_type", "family_index", "per_family_instance_index", "repetitions",
     "repetition_index", "threads", "iterations", "real_time", "cpu_time", "time_unit",
     "allocs_per_iter", "max_bytes_used", "cpu_coefficient", "real_coefficient", "rms"}
)  # fmt: skip

Row = Mapping[str, Any]


def _parse(document: Any) -> Iterator[ToolRun]:
    context = document["context"]
    schema = context.get("json_schema_version", SCHEMA)
    if schema != SCHEMA:
        raise NotReadable(f"json_schema_version {schema}; {SCHEMA} is read")
    by_name: dict[str, list[Row]] = {}
    for row in document["benchmarks"]:
        by_name.setdefault(row.get("run_name", row["name"]), []).append(row)
    problems = [
        (name, str(row.get("error_message", "failed")))
        for name, rows in by_name.items()
        for row in rows
        if row.get("error_occurred")
    ]
    yield ToolRun(
        values=tuple(value for name, rows in by_name.items() for value in _values(name, rows)),
        source=document,
        tool_version=context.get("library_version"),
        measured_at=moment(context.get("date")),
        machine=context.get("host_name"),
        facts={"library_build_type": str(context.get("library_build_type", "unknown"))},
        machine_fields={"num_cpu": str(context["num_cpus"])} if "num_cpus" in context else {},
        problems=tuple(problems),
    )


def _values(name: str, rows: Sequence[Row]) -> Iterator[Value]:
    repetitions = [row for row in rows if row.get("run_type", "iteration") == "iteration"]
    if any(row.get("error_occurred") for row in repetitions):
        for clock in ("real_time", "cpu_time"):
            yield Value(f"{name}.{clock}", None, "s", "lower", "timing", status="failed")
        return
    if any(row.get("skipped") for row in repetitions):
        return
    chosen = repetitions or _aggregate(rows, "median") or _aggregate(rows, "mean")
    if not chosen:  # fits of a complexity, or deviations alone
        return
    for clock in ("real_time", "cpu_time"):
        values = tuple(number(row[clock], clock) for row in chosen)
        more: dict[str, Any] = {}
        if repetitions:
            more = {
                "samples": values,
                "repeat": len(values),
                "number": int(chosen[0]["iterations"]),
            }
        yield seconds(f"{name}.{clock}", median(values), chosen[0]["time_unit"], **more)
    counters = [key for key, raw in chosen[0].items() if key not in _KNOWN and _is_number(raw)]
    for key in counters:
        values = tuple(number(row[key], key) for row in chosen)
        samples = values if repetitions else None
        if key in _RATES:
            yield rate(f"{name}.{key}", median(values), _RATES[key], samples=samples)
        else:
            yield Value(f"{name}.{key}", median(values), "unit", None, samples=samples)


def _aggregate(rows: Sequence[Row], name: str) -> list[Row]:
    return [
        row
        for row in rows
        if row.get("aggregate_name") == name and row.get("aggregate_unit", "time") == "time"
    ]


def _is_number(raw: object) -> bool:
    return isinstance(raw, int | float) and not isinstance(raw, bool)


READER = ToolReader(
    "google-benchmark", lambda head: has_keys(head, "context", "benchmarks", "mhz_per_cpu"), _parse
)
