"""pyperf's JSON, format 1.0: the median of all values; calibration runs have none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from statistics import median
from typing import Any

from tracker.readers.content import has_keys
from tracker.readers.tool import NotReadable, ToolReader, ToolRun, Value, moment, number, seconds

__all__ = ["READER"]

VERSION = "1.0"


def _parse(document: Any) -> Iterator[ToolRun]:
    if document["version"] != VERSION:
        raise NotReadable(f"format version {document['version']!r}; {VERSION} is read")
    common = document.get("metadata") or {}
    for benchmark in document["benchmarks"]:
        metadata = {**common, **(benchmark.get("metadata") or {})}
        runs = benchmark["runs"]
        dates = [date for run in runs if (date := (run.get("metadata") or {}).get("date"))]
        yield ToolRun(
            values=(_value(metadata, runs),),
            source=benchmark,
            tool_version=metadata.get("perf_version"),
            measured_at=moment(min(dates)) if dates else None,
            machine=metadata.get("hostname"),
            python=metadata.get("python_version"),
            machine_fields={
                ours: str(metadata[theirs])
                for ours, theirs in (
                    ("cpu", "cpu_model_name"),
                    ("num_cpu", "cpu_count"),
                    ("os", "platform"),
                )
                if theirs in metadata
            },
        )


def _value(metadata: Mapping[str, Any], runs: Any) -> Value:
    values = tuple(number(value, "a value") for run in runs for value in run.get("values") or ())
    name, unit = metadata["name"], metadata.get("unit", "second")
    middle = median(values) if values else None
    if unit == "second":
        return seconds(
            name, middle, samples=values, number=metadata.get("loops"), repeat=len(values)
        )
    if unit == "byte":
        return Value(name, middle, "bytes", "lower", samples=values, repeat=len(values))
    return Value(name, middle, "unit" if unit == "integer" else str(unit), None, samples=values)


READER = ToolReader(
    "pyperf",
    lambda head: has_keys(head, "benchmarks", "runs", "metadata", "warmups"),
    _parse,
)
