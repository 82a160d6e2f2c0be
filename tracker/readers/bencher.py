"""Bencher's metric format: `{benchmark: {measure: {value, lower_value, upper_value}}}`.

Bencher's own measures have a unit and a direction; anybody else's have neither.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from tracker.domain import Better
from tracker.readers.tool import NotReadable, ToolReader, ToolRun, Value, number
from tracker.readers.units import to_base

__all__ = ["READER"]

_MEASURES: dict[str, tuple[str, Better]] = {
    "latency": ("ns", "lower"),
    "throughput": ("operations/s", "higher"),
    "build-time": ("s", "lower"),
    "file-size": ("bytes", "lower"),
}
_FITS = re.compile(
    rb'\s*\{\s*"(?:[^"\\]|\\.)*"\s*:\s*\{\s*"(?:[^"\\]|\\.)*"\s*:\s*\{\s*"(?:value|lower_value|upper_value)"'
)


def _parse(document: Any) -> Iterator[ToolRun]:
    values = []
    for benchmark, measures in document.items():
        for measure, metric in measures.items():
            if set(metric) - {"value", "lower_value", "upper_value"}:
                raise NotReadable(f"{benchmark!r} {measure!r} holds more than value and bounds")
            values.append(_value(f"{benchmark}.{measure}", measure, metric))
    yield ToolRun(tuple(values), document)


def _value(name: str, measure: str, metric: Any) -> Value:
    unit, better = _MEASURES.get(measure, ("unit", None))

    def base(key: str) -> float | None:
        raw = metric.get(key)
        return None if raw is None else to_base(number(raw, f"{name} {key}"), unit)[0]

    value, base_unit = to_base(number(metric["value"], name), unit)
    kind = "timing" if base_unit == "s" else "rate" if "/s" in base_unit else "other"
    low, high = base("lower_value"), base("upper_value")
    return Value(name, value, base_unit, better, kind, ci_low=low, ci_high=high)  # type: ignore[arg-type]


READER = ToolReader("bencher", lambda head: bool(_FITS.match(head)), _parse)
