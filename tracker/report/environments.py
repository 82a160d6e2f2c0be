"""The reports of one gate in several environments, as one report."""

from __future__ import annotations

from collections.abc import Mapping
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
    every = list(reports.values())
    first = every[0]
    if len(every) == 1:
        return first
    outcome = worst(report.outcome for report in every)
    named = list(reports.items())
    common = [fact for fact in first.environment if all(fact in r.environment for r in every)]
    own = [
        (f"{fact} [{name}]", value)
        for name, one in named
        for fact, value in one.environment
        if (fact, value) not in common
    ]
    return replace(
        next(report for report in every if report.outcome == outcome),
        configuration=(*first.configuration, ("environments", ", ".join(reports))),
        rows=tuple(
            replace(row, metric=f"{row.metric} [{name}]") for name, one in named for row in one.rows
        ),
        missing=tuple(
            replace(item, metric=f"{item.metric} [{name}]")
            for name, one in named
            for item in one.missing
        ),
        warnings=tuple(f"{name}: {text}" for name, one in named for text in one.warnings),
        infrastructure=tuple(
            f"{name}: {text}" for name, one in named for text in one.infrastructure
        ),
        invalid=tuple(f"{name}: {text}" for name, one in named for text in one.invalid),
        stopped="; ".join(f"{name}: {one.stopped}" for name, one in named),
        pairs=sum(one.pairs for one in every),
        dropped=sum(one.dropped for one in every),
        seconds=sum(one.seconds for one in every),
        waited=sum(one.waited for one in every),
        alpha=sum(one.alpha for one in every),
        creep=next((r.creep for r in every if r.creep is not None and r.creep.over), first.creep),
        tails=tuple(
            replace(tail, scenario=f"{tail.scenario} [{name}]")
            for name, one in named
            for tail in one.tails
        ),
        environment=(*common, *own),
    )
