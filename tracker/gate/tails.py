"""Tail latencies of a gate: every request of its valid pairs, out of the launches' artifacts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from tracker.artifacts import read_requests
from tracker.domain import Arm, RequestTimes
from tracker.report import Report
from tracker.report.tails import Tail
from tracker.stats.tails import compare_tails
from tracker.store import Store, queries

__all__ = ["with_tails"]

Requests = Sequence[RequestTimes]
_ARMS: tuple[Arm, Arm] = ("base", "head")

_MEASURES: dict[str, Callable[[Requests], list[float]]] = {
    "TTFT p99": lambda requests: [times.ttft for times in requests if times.ttft is not None],
    "ITL p99": lambda requests: [gap for times in requests for gap in times.gaps],
}


def with_tails(report: Report, store: Store) -> Report:
    """Return the report with the p99 of first-token times and of token gaps of its gate.

    Pairs whose artifacts are gone (they lie in the checkout that measured) are left out; without
    any there are no rows. A scenario of which only exact metrics were judged has none either: it was
    launched for its counts, mostly once. They inform and never vote (`tracker.stats.tails`).
    """
    if report.gate_id is None:
        return report
    noisy = [row.metric for row in report.rows if row.kind != "exact"]
    pairs: dict[str, dict[int, dict[Arm, Requests]]] = {}
    for launch in queries.gate_launches(store, report.project, gate_id=report.gate_id):
        if not any(metric.startswith(f"{launch.benchmark}.") for metric in noisy):
            continue
        if requests := read_requests(Path(launch.path)):
            arms = pairs.setdefault(launch.benchmark, {}).setdefault(launch.pair, {})
            arms[launch.arm] = requests
    tails = [
        tail
        for scenario, by_pair in sorted(pairs.items())
        for what in _MEASURES
        if (tail := _tail(scenario, what, [by_pair[number] for number in sorted(by_pair)]))
    ]
    return replace(report, tails=tuple(tails))


def _tail(scenario: str, what: str, pairs: Sequence[Mapping[Arm, Requests]]) -> Tail | None:
    values_of = _MEASURES[what]
    whole = [arms for arms in pairs if len(arms) == 2]
    base, head = ([values_of(arms[arm]) for arms in whole] for arm in _ARMS)
    tail = compare_tails(base, head, quantile=0.99)
    if tail.base is None or tail.head is None:
        return None
    return Tail(scenario, what, tail.base, tail.head, tail.effect, tail.low, tail.high, tail.reason)
