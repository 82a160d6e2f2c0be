"""The few series that a first look at a project needs: one of each kind, of its main scenario. Pure."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable

from dashboard.groups import metric_group, scenario, short_name
from tracker.domain import SeriesInfo

__all__ = ["HEADLINE", "headline", "says_something"]

# What a team watches, in this order; of a group the first pattern that fits a series.
HEADLINE = {
    "Latency": ("tpot_p50", "itl_p50", "tpot", "itl", "e2e_p50", ""),
    "First-token time": ("ttft_p50", "ttft", ""),
    "Utilization": ("gpu_utilization", "sm_active", "mbu", "mfu", ""),
    "Throughput": ("^throughput$", "throughput", "goodput", ""),
}


def says_something(series: SeriesInfo) -> bool:
    """Whether a chart of the series shows more than zeros or a counter that never moves."""
    return series.kind != "exact" and series.num_points > 0 and bool(series.last_value)


def headline(candidates: Iterable[SeriesInfo]) -> dict[str, SeriesInfo]:
    """Return one series for each group of `HEADLINE` that the main scenario has.

    The main scenario (suite class, parameters, machine and environment) is the one with most of the
    groups, then the one with most points, then the one measured last.

    Args:
        candidates: Series of one project.

    Returns:
        Group to series, in the order of `HEADLINE`; empty where no series says anything.
    """
    places: dict[tuple[object, ...], dict[str, list[SeriesInfo]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for series in filter(says_something, candidates):
        group = metric_group(series)
        if group in HEADLINE:
            place = (scenario(series), series.params, series.machine, series.environment)
            places[place][group].append(series)
    if not places:
        return {}
    main = max(places.values(), key=_rank)
    return {group: _first(group, main[group]) for group in HEADLINE if group in main}


def _rank(groups: dict[str, list[SeriesInfo]]) -> tuple[int, int, float]:
    members = [series for group in groups.values() for series in group]
    measured = [s.last_measured.timestamp() for s in members if s.last_measured is not None]
    return len(groups), max(s.num_points for s in members), max(measured, default=0.0)


def _first(group: str, members: list[SeriesInfo]) -> SeriesInfo:
    """The member whose name fits the earliest pattern; of equals the one with most points."""

    def rank(series: SeriesInfo) -> tuple[int, int, str]:
        name = short_name(series)
        fits = [i for i, pattern in enumerate(HEADLINE[group]) if re.search(pattern, name)]
        return fits[0], -series.num_points, series.metric

    return min(members, key=rank)
