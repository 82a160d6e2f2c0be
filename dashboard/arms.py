"""Several places beside each other: machines, environments, scenarios, engines, at several commits. Pure."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from dashboard.groups import GROUPS, bare_name, metric_group, scenario
from dashboard.units import format_effect, scale_for
from tracker.domain import SeriesInfo

__all__ = ["Arm", "Place", "arms_frame", "arms_table", "places_of"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a group of metrics is measured together.

    Attributes:
        key: Number of its first series: short, and stable in a URL.
        series: Metric name without suite and parameters to its series, as measured last.
    """

    key: str
    name: str
    series: Mapping[str, SeriesInfo]


@dataclass(frozen=True, slots=True)
class Arm:
    """A place at a commit: metric name to its value there; what was not measured is absent."""

    name: str
    place: Place
    values: Mapping[str, float] = field(default_factory=dict)


def places_of(listed: Iterable[SeriesInfo]) -> list[Place]:
    """Group series by project, scenario, parameters, machine and environment."""
    grouped: dict[tuple[object, ...], list[SeriesInfo]] = defaultdict(list)
    for series in listed:
        where = (
            series.project,
            scenario(series),
            series.params,
            series.machine,
            series.environment,
        )
        grouped[where].append(series)
    several = len({project for project, *_ in grouped}) > 1
    places = []
    for (project, suite, params, machine, environment), members in grouped.items():
        members.sort(key=lambda s: s.last_measured.timestamp() if s.last_measured else -math.inf)
        parts = [project if several else "", suite, ", ".join(params), machine, environment]  # type: ignore[arg-type]
        places.append(
            Place(
                str(min(series.id for series in members)),
                " · ".join(str(part) for part in parts if part),
                {bare_name(series.benchmark): series for series in members},
            )
        )
    return sorted(places, key=lambda place: place.name)


def arms_frame(arms: Sequence[Arm]) -> pd.DataFrame:
    """One row a metric and arm after the first, where both have a value: percent of the first, and texts.

    Metrics of other units are no comparison, and are left out.
    """
    first, rows = arms[0], []
    for metric in _metrics(arms):
        base, series = first.values.get(metric), first.place.series.get(metric)
        if series is None or base is None or base <= 0:
            continue
        for arm in arms[1:]:
            other, value = arm.place.series.get(metric), arm.values.get(metric)
            if other is None or value is None or other.unit != series.unit:
                continue
            scale = scale_for(series.unit, [base, value])
            rows.append(
                {
                    "metric": metric,
                    "arm": arm.name,
                    "percent": 100 * value / base,
                    "change": format_effect(value / base - 1),
                    "first": scale.text(base),
                    "value": scale.text(value),
                    "direction": f"{series.better} is better" if series.better else "no direction",
                }
            )
    columns = ["metric", "arm", "percent", "change", "first", "value", "direction"]
    return pd.DataFrame(rows, columns=columns)


def arms_table(arms: Sequence[Arm]) -> pd.DataFrame:
    """One row a metric, a column an arm; "–" where it was not measured."""
    rows = []
    for metric in _metrics(arms):
        known = [arm.place.series[metric] for arm in arms if metric in arm.place.series]
        row = {"metric": metric}
        for arm in arms:
            series = arm.place.series.get(metric)
            value = arm.values.get(metric)
            unit = series.unit if series else known[0].unit
            row[arm.name] = scale_for(unit, [value]).text(value)
        rows.append(row | {"group": metric_group(known[0])})
    return pd.DataFrame(rows)


def _metrics(arms: Sequence[Arm]) -> list[str]:
    """Metrics that at least two arms have, else all of them; by group, then by name."""
    counts: dict[str, int] = defaultdict(int)
    of_group: dict[str, str] = {}
    for arm in arms:
        for metric in arm.values:
            counts[metric] += 1
            of_group.setdefault(metric, metric_group(arm.place.series[metric]))
    common = [metric for metric, count in counts.items() if count > 1] or list(counts)
    return sorted(common, key=lambda metric: (GROUPS.index(of_group[metric]), metric))
