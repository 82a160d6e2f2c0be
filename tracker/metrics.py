"""What a metric is: its direction, kind, unit and step. One function answers it for everyone.

A suite says it on the benchmark (`better`, `kind`, `unit`, `step`); `[gate.metrics]` of
pacekeeper.toml completes or corrects that. The store keeps the two apart: the suite's words with the
benchmark, the project's rules with the project. The answer is made whenever a series is read, so
that a changed rule changes every history, comparison and page without another ingest.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import TypeVar

from tracker.domain import BenchmarkInfo, Better, Kind, SeriesInfo

__all__ = [
    "MetricRule",
    "combined",
    "described",
    "is_worse",
    "line_to_state_direction",
    "rules_from_text",
    "rules_to_text",
]

Described = TypeVar("Described", BenchmarkInfo, SeriesInfo)

# What a rule says of the metric itself; its other keys say how strictly a gate judges it.
_FACTS = ("better", "kind", "unit", "step")
_PER_SECOND = re.compile(
    r"(?i)/\s?s(ec(ond)?)?$|\bper second$|^(k|m|g|t|p)?(hz|flops|ips|qps|rps|tps)$"
)


@dataclass(frozen=True, slots=True)
class MetricRule:
    """What a project says of the metrics whose name `pattern` is found in; None: nothing said.

    `unit` is a name for what the suite measures: it converts nothing.
    """

    pattern: str
    margin: float | None = None
    detect: float | None = None
    vote: bool | None = None
    better: Better | None = None
    kind: Kind | None = None
    unit: str | None = None
    step: float | None = None


def combined(metric: str, rules: Sequence[MetricRule]) -> MetricRule:
    """Return what all rules that fit `metric` say together; key by key the last one wins."""
    said = {}
    for rule in rules:
        if re.search(rule.pattern, metric):
            for key in fields(rule):
                if (value := getattr(rule, key.name)) is not None:
                    said[key.name] = value
    return MetricRule(**{"pattern": metric} | said)


def described(metric: str, suite: Described, rules: Sequence[MetricRule]) -> Described:
    """Return what the suite says of a metric, with direction, kind, unit and step by the rules.

    Args:
        metric: The metric's name with its parameters, which patterns are searched in.
        suite: The benchmark or series as the suite describes it.
        rules: The project's, in the order of pacekeeper.toml.
    """
    if not rules:
        return suite
    rule = combined(metric, rules)
    said = {key: value for key in _FACTS if (value := getattr(rule, key)) is not None}
    return replace(suite, **said) if said else suite


def is_worse(better: Better | None, before: float, after: float) -> bool | None:
    """Return whether a change is for the worse; None without a direction or without a change."""
    if better is None or after == before:
        return None
    return (after > before) == (better == "lower")


def line_to_state_direction(metric: str, unit: str) -> str:
    """Return the lines of pacekeeper.toml that give `metric` a direction, at every parameter point.

    A rate (a unit per second) suggests "higher", anything else "lower": a suggestion for the
    reader to confirm. Nothing is ever judged by it.
    """
    rate = _PER_SECOND.search(unit.strip())
    answer = 'better = "higher"' if rate else 'better = "lower"  # or "higher"'
    # JSON's escapes are those of a basic string in TOML, which wants DEL escaped as well.
    pattern = json.dumps(f"^{re.escape(metric)}($|\\()", ensure_ascii=False).replace(
        "\x7f", "\\u007f"
    )
    return f"[gate.metrics.{pattern}]\n{answer}"


def rules_to_text(rules: Sequence[MetricRule]) -> str | None:
    """Return what rules say of the metrics themselves as a text for the store; None: nothing."""
    listed = [
        {"pattern": rule.pattern} | said
        for rule in rules
        if (said := {k: v for k in _FACTS if (v := getattr(rule, k)) is not None})
    ]
    return json.dumps(listed, ensure_ascii=False) if listed else None


@lru_cache(maxsize=64)
def rules_from_text(text: str | None) -> tuple[MetricRule, ...]:
    """Return the rules that `rules_to_text` wrote."""
    return tuple(MetricRule(**rule) for rule in json.loads(text)) if text else ()
