"""Format 1 of asv's result files, as rows of format 2."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def rows_of_format1(data: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (benchmark, row), the row keyed by the columns of format 2.

    Format 1 holds a benchmark's result as a bare value or as an object of result, stats, params
    and samples, and keeps versions and times in mappings of their own.
    """
    started, ended = _mapping(data, "started_at"), _mapping(data, "ended_at")
    versions, durations = _mapping(data, "benchmark_version"), _mapping(data, "duration")
    for name, entry in data["results"].items():
        if not isinstance(entry, dict) or "result" not in entry:
            entry = {"result": entry}
        params = entry.get("params")
        row: dict[str, Any] = {
            "result": _column(entry["result"]),  # null: every parameter point failed
            "params": params,
            "version": versions.get(name),
            "started_at": started.get(name),
            "duration": durations.get(name, _elapsed(started.get(name), ended.get(name))),
            "samples": entry.get("samples"),
        }
        stats = entry.get("stats")
        if stats is not None:
            row |= _stats_columns(stats if isinstance(stats, list) else [stats])
        yield name, row


def _mapping(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = data.get(key)
    return value if isinstance(value, dict) else {}


def _column(raw: Any) -> Any:
    return raw if raw is None or isinstance(raw, list) else [raw]


def _elapsed(started: Any, ended: Any) -> float | None:
    """Return the seconds between two moments in milliseconds."""
    if isinstance(started, int | float) and isinstance(ended, int | float):
        return (ended - started) / 1000
    return None


def _stats_columns(stats: list[Any]) -> dict[str, list[Any]]:
    def column(key: str) -> list[Any]:
        return [item.get(key) if isinstance(item, dict) else None for item in stats]

    intervals = column("ci_99")
    whole = [
        item if isinstance(item, list) and len(item) == 2 else (None, None) for item in intervals
    ]
    return {
        "stats_ci_99_a": [item[0] for item in whole],
        "stats_ci_99_b": [item[1] for item in whole],
        "stats_q_25": column("q_25"),
        "stats_q_75": column("q_75"),
        "stats_number": column("number"),
        "stats_repeat": column("repeat"),
    }
