"""A result as text to read, and as JSON for programs."""

from __future__ import annotations

import json

from tracker.load.catalogue import published
from tracker.load.run import LoadResult

__all__ = ["as_json", "as_text"]


def as_json(name: str, result: LoadResult) -> str:
    """Return a result as one line: every metric with value, unit, direction, kind and version."""
    metrics = {
        metric.name: {
            "value": value,
            "unit": metric.unit,
            "better": metric.better,
            "kind": metric.kind,
            "version": metric.version,
        }
        for metric, value in published(result)
    }
    plain = {
        "benchmark": name,
        "launch_id": result.launch_id,
        "metrics": metrics,
        "counters": result.counters,
        "work": result.work,
        "failures": list(result.failures),
        "void": result.void,
        "artifact": None if result.artifact is None else str(result.artifact),
    }
    return json.dumps(plain) + "\n"


def as_text(name: str, result: LoadResult) -> str:
    """Return a result as a table; ``-`` for what has no value here."""
    lines = [f"{name}  launch {result.launch_id}", f"work: {result.work}"]
    for metric, value in published(result):
        shown = "-" if value is None else f"{value:.6g}"
        lines.append(f"{metric.name:<24} {shown:>14} {metric.unit}")
    if result.artifact is not None:
        lines.append(f"artifact: {result.artifact}")
    return "\n".join(lines) + "\n"
