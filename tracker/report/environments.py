"""The reports of one gate in several environments, as one report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from tracker.gate.outcome import worst
from tracker.report.model import Report

__all__ = ["merged"]


def merged(reports: Mapping[str, Report]) -> Report:
    """Return one report of a gate that ran once in each environment.

    Its outcome is that of the worst. Metrics carry the name of their environment in brackets.

    Args:
        reports: By environment, in the order they ran; at least one.
    """
    first = next(iter(reports.values()))
    if len(reports) == 1:
        return first
    outcome = worst(report.outcome for report in reports.values())
    named = list(reports.items())
    common = [
        fact for fact in first.environment if all(fact in r.environment for r in reports.values())
    ]
    own = [
        (f"{fact} [{name}]", value)
        for name, report in named
        for fact, value in report.environment
        if (fact, value) not in common
    ]

    def sentences(of: Callable[[Report], Sequence[str]]) -> tuple[str, ...]:
        return tuple(f"{name}: {text}" for name, report in named for text in of(report))

    return replace(
        next(report for report in reports.values() if report.outcome == outcome),
        configuration=(*first.configuration, ("environments", ", ".join(reports))),
        rows=tuple(
            replace(row, metric=f"{row.metric} [{name}]")
            for name, report in named
            for row in report.rows
        ),
        missing=tuple(
            replace(missing, metric=f"{missing.metric} [{name}]")
            for name, report in named
            for missing in report.missing
        ),
        warnings=sentences(lambda report: report.warnings),
        infrastructure=sentences(lambda report: report.infrastructure),
        invalid=sentences(lambda report: report.invalid),
        stopped="; ".join(sentences(lambda report: [report.stopped])),
        pairs=sum(report.pairs for report in reports.values()),
        dropped=sum(report.dropped for report in reports.values()),
        seconds=sum(report.seconds for report in reports.values()),
        waited=sum(report.waited for report in reports.values()),
        alpha=sum(report.alpha for report in reports.values()),
        creep=next(
            (r.creep for _, r in named if r.creep is not None and r.creep.over), first.creep
        ),
        tails=tuple(
            replace(tail, scenario=f"{tail.scenario} [{name}]")
            for name, report in named
            for tail in report.tails
        ),
        environment=(*common, *own),
    )
