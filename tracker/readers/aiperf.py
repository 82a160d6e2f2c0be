"""AIPerf's `profile_export_aiperf.json`: each metric a key with its own unit.

Times and rates are read; counts, sizes and mismatches describe the load. AIPerf leaves failed
requests out of its times, and calls a run complete whatever failed: `error_rate` says it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
from tracker.readers.units import to_base

__all__ = ["READER", "RECORDS"]

MAJOR = 1  # of schema_version
_STATISTICS = ("avg", "p50", "p90", "p95", "p99")


def _parse(document: Any) -> Iterator[ToolRun]:
    version = str(document["schema_version"])
    if version.partition(".")[0] != str(MAJOR):
        raise NotReadable(f"schema_version {version}; {MAJOR}.x is read")
    config = document.get("input_config") or {}
    yield ToolRun(
        values=tuple(_values(document)),
        source=[
            document.get("benchmark_id"),
            document.get("start_time"),
            document.get("request_count"),
        ],
        params=tuple(_load(config)),
        tool_version=document.get("aiperf_version"),
        measured_at=moment(document.get("start_time")),
        problems=((None, "the run was cancelled"),) if document.get("was_cancelled") else (),
    )


def _values(document: Mapping[str, Any]) -> Iterator[Value]:
    for name, metric in document.items():
        if not isinstance(metric, Mapping) or "unit" not in metric or "avg" not in metric:
            continue
        base = to_base(1.0, metric["unit"])[1]
        if base == "s" and name != "benchmark_duration":
            for statistic in _STATISTICS:
                if statistic in metric:
                    missing = metric.get("count") == 0
                    raw = None if missing else metric[statistic]
                    yield seconds(f"{name}_{statistic}", raw, metric["unit"])
        elif "/s" in base:
            yield rate(name, metric["avg"], metric["unit"])
    succeeded, failed = (
        number((document.get(name) or {"avg": 0})["avg"], name)  # absent where there was none
        for name in ("request_count", "error_request_count")
    )
    if succeeded + failed:
        yield Value("error_rate", failed / (succeeded + failed), "1", "lower")


def _load(config: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    models = (config.get("models") or {}).get("items") or []
    yield "model", ",".join(str(model.get("name")) for model in models)
    endpoint = config.get("endpoint") or {}
    yield "endpoint", endpoint.get("type")
    for phase in config.get("phases") or []:
        if phase.get("kind", "profiling") == "profiling":
            for key in ("type", "requests", "rate", "concurrency"):
                if phase.get(key) is not None:
                    yield key, phase[key]
    for dataset in config.get("datasets") or []:
        for key, size in (dataset.get("prompts") or {}).items():
            if isinstance(size, Mapping):
                yield key, size.get("mean")


def _refuse(_document: Any) -> Iterator[ToolRun]:
    raise NotReadable("one record a request; give profile_export_aiperf.json of the same run")


READER = ToolReader(
    "aiperf", lambda head: has_keys(head, "aiperf_version", "schema_version"), _parse
)
RECORDS = ToolReader(
    "aiperf-records",
    lambda head: has_keys(head, "metadata", "metrics", "request_start_ns"),
    _refuse,
    load=str,
)
