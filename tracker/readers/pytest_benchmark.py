"""pytest-benchmark's `--benchmark-json`: seconds, with the commit that was checked out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tracker.readers.content import has_keys
from tracker.readers.tool import NotReadable, ToolReader, ToolRun, Value, moment, number, seconds

__all__ = ["READER"]


def _parse(document: Any) -> Iterator[ToolRun]:
    commit, machine = document["commit_info"], document["machine_info"]
    if commit.get("dirty"):
        raise NotReadable(
            f"measured with uncommitted changes on top of {str(commit.get('id'))[:10]}: no "
            "commit's numbers"
        )
    cpu = machine.get("cpu") or {}
    yield ToolRun(
        values=tuple(_value(benchmark) for benchmark in document["benchmarks"]),
        source=document,
        tool_version=document["version"],
        commit=commit.get("id"),
        committed_at=moment(commit["time"]) if commit.get("time") else None,
        measured_at=moment(document.get("datetime")),
        machine=machine.get("node"),
        python=machine.get("python_version"),
        machine_fields={
            name: str(value)
            for name, value in (
                ("cpu", cpu.get("brand_raw")),
                ("num_cpu", cpu.get("count")),
                ("os", machine.get("system")),
            )
            if value
        },
    )


def _value(benchmark: Any) -> Value:
    stats, params = benchmark["stats"], benchmark.get("params") or {}
    name = benchmark["fullname"]
    if params:  # they stand in the name once more, in brackets
        name = name.partition("[")[0]
    data = stats.get("data") or ()
    return seconds(
        name,
        stats["median"],
        params=tuple(params.items()),
        # A list that was cut, or left out, is no sample of all rounds.
        samples=tuple(number(sample, "a sample") for sample in data)
        if len(data) == stats["rounds"]
        else None,
        q25=stats.get("q1"),
        q75=stats.get("q3"),
        number=stats.get("iterations"),
        repeat=stats["rounds"],
    )


READER = ToolReader(
    "pytest-benchmark", lambda head: has_keys(head, "machine_info", "commit_info"), _parse
)
