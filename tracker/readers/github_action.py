"""github-action-benchmark: its stored `data.js`, and the custom JSON that it takes.

The direction comes from the tool's type. A custom file does not say its own: its name may
(`customBiggerIsBetter.json`), or `--format` does; else the metrics have none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from tracker.domain import Better
from tracker.readers.content import has_keys
from tracker.readers.tool import NotReadable, ToolReader, ToolRun, Value, moment, number
from tracker.readers.units import to_base

__all__ = ["BIGGER", "CUSTOM", "HISTORY", "SMALLER"]

_ASSIGNMENT = re.compile(r"\s*window\.BENCHMARK_DATA\s*=")
_DIRECTIONS: dict[str, Better] = {
    "customBiggerIsBetter": "higher",
    "customSmallerIsBetter": "lower",
    "cargo": "lower",
    "go": "lower",
    "googlecpp": "lower",
    "catch2": "lower",
    "julia": "lower",
    "benchmarkdotnet": "lower",
    "benchmarkjs": "higher",
    "pytest": "higher",
}


def _history(document: Any) -> Iterator[ToolRun]:
    repository = document.get("repoUrl")
    for suite, entries in document["entries"].items():
        for entry in entries:
            commit, better = entry["commit"], _DIRECTIONS.get(entry["tool"])
            yield ToolRun(
                values=tuple(_value(bench, better, f"{suite}.") for bench in entry["benches"]),
                source=[repository, suite, entry],
                commit=commit["id"],
                committed_at=moment(commit.get("timestamp")),
                measured_at=moment(entry["date"] / 1000),
            )


def _custom(better: Better | None) -> Any:
    def parse(document: Any) -> Iterator[ToolRun]:
        yield ToolRun(tuple(_value(bench, better) for bench in document), document)

    return parse


def _value(bench: Any, better: Better | None, prefix: str = "") -> Value:
    value, unit = to_base(number(bench["value"], f"{bench['name']!r}"), str(bench["unit"]))
    low = high = None
    if match := re.fullmatch(r"\s*(?:±|\+/-)?\s*([0-9.]+)\s*(%?)\s*", str(bench.get("range", ""))):
        spread = float(match[1])
        reach = abs(value) * spread / 100 if match[2] else to_base(spread, str(bench["unit"]))[0]
        low, high = value - reach, value + reach
    kind = "timing" if unit == "s" else "rate" if "/s" in unit else "other"
    return Value(f"{prefix}{bench['name']}", value, unit, better, kind, ci_low=low, ci_high=high)  # type: ignore[arg-type]


def _load_history(text: str) -> Any:
    if match := _ASSIGNMENT.match(text):
        text = text[match.end() :].rstrip().removesuffix(";")
    return json.loads(text)


def _load_custom(text: str) -> Any:
    document = json.loads(text)
    if not isinstance(document, list) or not all(isinstance(item, dict) for item in document):
        raise NotReadable("not a list of {name, unit, value}")
    return document


def _is_custom(head: bytes) -> bool:
    return head.lstrip().startswith(b"[") and has_keys(head, "name", "unit", "value")


HISTORY = ToolReader(
    "github-action-benchmark",
    lambda head: (
        bool(_ASSIGNMENT.match(head[:200].decode(errors="replace")))
        or has_keys(head, "lastUpdate", "repoUrl", "entries")
    ),
    _history,
    load=_load_history,
)


def _named(direction: str) -> Callable[[str], bool]:
    return lambda name: direction in name.lower()


BIGGER = ToolReader(
    "customBiggerIsBetter",
    _is_custom,
    _custom("higher"),
    load=_load_custom,
    benchmarks="github-action-custom",
    named=_named("biggerisbetter"),
)
SMALLER = ToolReader(
    "customSmallerIsBetter",
    _is_custom,
    _custom("lower"),
    load=_load_custom,
    benchmarks="github-action-custom",
    named=_named("smallerisbetter"),
)
CUSTOM = ToolReader(
    "github-action-custom",
    _is_custom,
    _custom(None),
    load=_load_custom,
    named=lambda name: not BIGGER.named(name) and not SMALLER.named(name),
)
