"""How much of the creep budget the project's main metrics have left, commit by commit. Pure.

Read off the histories, which no gate measured for this: it says when to look, and decides nothing. The
gate measures creep against the release itself (`tracker gate --creep`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

import pandas as pd

from dashboard.groups import short_name
from dashboard.tables import creep_budget_of
from dashboard.units import format_effect
from tracker.domain import GateInfo, SeriesHistory

__all__ = ["Since", "budget_frame", "since_of"]

_LEVEL = 5  # values whose median is a level


@dataclass(frozen=True, slots=True)
class Since:
    """Where creep is counted from: the commit, and the release's tag where a gate knew it."""

    commit: str
    tag: str | None


def since_of(gates: Iterable[GateInfo], histories: Sequence[SeriesHistory]) -> Since | None:
    """The release that the newest gate with a creep measurement measured against.

    Args:
        gates: Newest first.
        histories: Where no gate knew a release, the oldest commit of the longest of them counts.
    """
    listed = list(gates)
    by_id = {gate.id: gate for gate in listed}
    for gate in listed:
        creep = gate.course.get("creep")
        if isinstance(creep, list | tuple) and len(creep) == 2 and creep[1] in by_id:
            return Since(by_id[creep[1]].base.commit, str(creep[0]))
    longest = max(histories, key=lambda history: len(history.points), default=None)
    if longest is None or not longest.points:
        return None
    return Since(longest.points[0].revision.commit, None)


def budget_frame(
    histories: Iterable[SeriesHistory], since: Since, gates: Sequence[GateInfo]
) -> pd.DataFrame:
    """One row a metric and commit since the release: what is left of its budget.

    A level is the median of up to five values in one environment; where the environment changed the
    next level counts from there, since no commit brought that change. Metrics without a direction or a
    budget, and those that were not measured since, are left out.

    Returns:
        Columns metric, index, commit, date, subject, left (1: untouched, below 0: overspent), drift.
    """
    rows = []
    for history in histories:
        series = history.series
        budget = creep_budget_of(gates, series.metric)
        if series.better is None or series.kind == "exact" or not budget:
            continue
        sign = 1.0 if series.better == "lower" else -1.0
        places = [p.revision.commit for p in history.points]
        start = places.index(since.commit) if since.commit in places else 0
        edges = {change.revision.id for change in history.fingerprint_changes}
        before = 0.0
        segment: list[float] = []
        for place in range(start, len(history.points)):
            point = history.points[place]
            if point.revision.id in edges and segment:
                before, segment = before + _drift(segment), []
            if point.value is None or not math.isfinite(point.value) or point.value <= 0:
                continue
            segment.append(math.log(point.value))
            drift = sign * (before + _drift(segment))
            rows.append(
                {
                    "metric": short_name(series),
                    "index": place - start,
                    "commit": point.revision.commit[:10],
                    "date": f"{point.revision.committed_at:%Y-%m-%d}",
                    "subject": point.revision.subject or "–",
                    "left": 1 - math.expm1(drift) / budget,
                    "drift": format_effect(math.expm1(drift)),
                }
            )
    return pd.DataFrame(
        rows, columns=["metric", "index", "commit", "date", "subject", "left", "drift"]
    )


def _drift(logs: Sequence[float]) -> float:
    """The newest level against the first, as a log ratio."""
    return median(logs[-_LEVEL:]) - median(logs[:_LEVEL])
