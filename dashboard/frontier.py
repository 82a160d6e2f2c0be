"""Sweeps over the load: series that differ in one parameter that says how much ran at once. Pure."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from dashboard.groups import bare_name, metric_group, scenario
from dashboard.headline import HEADLINE
from dashboard.limits import limit_of
from dashboard.units import Scale, format_value, scale_for
from tracker.domain import ComparisonRow, GateInfo, SeriesInfo

__all__ = [
    "LATENCY",
    "Sweep",
    "frontier_frame",
    "highest_within",
    "is_swept",
    "limits_text",
    "scale_of",
    "sweeps",
]

# Names of the parameter in suites and in the tools whose files are read; the first that varies counts.
AXES = (
    "concurrency", "num_concurrent", "max_concurrency", "streams", "parallelism", "pl", "n_parallel",
    "rate", "request_rate", "requested_rate", "rate_qps",
)  # fmt: skip
LATENCY = ("Latency", "First-token time")
_FOLLOWS = re.compile(r"num_(prompts|requests)=")  # settings that a sweep scales with the load


@dataclass(frozen=True, slots=True)
class Sweep:
    """One scenario measured at several loads, at two commits.

    Attributes:
        name: Scenario, other parameters, machine and environment.
        axis: The parameter's name.
        points: Load to metric name to its row; metric names are without suite and parameters.
    """

    name: str
    axis: str
    points: Mapping[float, Mapping[str, ComparisonRow]]

    def metrics(self, *groups: str) -> list[str]:
        """Names of its metrics that belong to any of the groups, what a team watches first."""
        series_of = {
            name: row.series for rows in self.points.values() for name, row in rows.items()
        }
        fitting = [name for name in series_of if metric_group(series_of[name]) in groups]
        return sorted(fitting, key=lambda name: _rank(name, groups))


def sweeps(rows: Iterable[ComparisonRow]) -> list[Sweep]:
    """Find the sweeps among the rows, most points first.

    A sweep has at least two loads and a metric of throughput; without one of latency it says how the
    throughput grows with the load, and no more.
    """
    points_of: dict[tuple[str, ...], dict[float, dict[str, ComparisonRow]]] = defaultdict(dict)
    for row in rows:
        for axis, load, rest in _axes_of(row.series):
            series = row.series
            place = (scenario(series), ", ".join(rest), series.machine, series.environment)
            points = points_of[(axis, *place, series.version)]
            points.setdefault(load, {})[bare_name(series.benchmark)] = row
    listed = [
        Sweep(
            " · ".join(filter(None, key[1:5])) + f" · by {key[0]}",
            key[0],
            dict(sorted(points.items())),
        )
        for key, points in points_of.items()
        if len(points) > 1
    ]
    whole = [sweep for sweep in listed if sweep.metrics("Throughput")]
    return sorted(whole, key=lambda sweep: (-len(sweep.points), AXES.index(sweep.axis), sweep.name))


def is_swept(series: SeriesInfo) -> bool:
    """Whether one of its parameters may be the load of a sweep."""
    return bool(_axes_of(series))


def _axes_of(series: SeriesInfo) -> list[tuple[str, float, tuple[str, ...]]]:
    """Each parameter that may be the load: its name, its value, and the other parameters."""
    axes = []
    for place, param in enumerate(series.params):
        name, equals, value = param.partition("=")
        if not equals:
            name = series.param_names[place] if place < len(series.param_names) else ""
            value = param
        if name not in AXES:
            continue
        try:
            load = float(value.strip("'\""))
        except ValueError:
            continue
        if math.isfinite(load):
            rest = series.params[:place] + series.params[place + 1 :]
            axes.append((name, load, tuple(one for one in rest if not _FOLLOWS.match(one))))
    return axes


def _rank(name: str, groups: Sequence[str]) -> tuple[int, int, str]:
    ranks = [
        (order, place)
        for order, group in enumerate(groups)
        for place, pattern in enumerate(HEADLINE.get(group, ()))
        if pattern and re.search(pattern, name)
    ]
    order, place = min(ranks, default=(len(groups), 0))
    return order, place, name


def scale_of(sweep: Sweep, metric: str) -> Scale:
    """The scale of one of its metrics, over all loads and both commits."""
    rows = [of_load[metric] for of_load in sweep.points.values() if metric in of_load]
    return scale_for(rows[0].series.unit, [v for row in rows for v in (row.base, row.head)])


def frontier_frame(
    sweep: Sweep,
    latency: str | None,
    throughput: str,
    gates: Sequence[GateInfo],
    commits: Mapping[str, str],
) -> pd.DataFrame:
    """One row a commit and load where both metrics were measured, in the order of the load.

    Args:
        sweep: Where the rows come from.
        latency: Name of a metric; None: the sweep has none.
        throughput: Name of a metric.
        gates: Whose policy has the limits, newest first.
        commits: "base" and "head" to what the commit is called in the chart.

    Returns:
        Scaled values under "throughput value" and "latency value", texts with units under the metrics' names, and `within`: whether every metric of the point that has a
        limit keeps to it; None where no limit is known or a limited metric was not measured.
    """
    # With a blank, so that no metric is called the same.
    shown = {"throughput value": throughput} | ({"latency value": latency} if latency else {})
    scales = {axis: scale_of(sweep, metric) for axis, metric in shown.items()}
    rows = []
    for side, name in commits.items():
        for load, of_load in sweep.points.items():
            values = {
                axis: getattr(of_load[metric], side) if metric in of_load else None
                for axis, metric in shown.items()
            }
            if None in values.values():
                continue
            rows.append(
                {
                    "commit": name,
                    "load": load,
                    **{axis: scales[axis](value) for axis, value in values.items()},
                    **{shown[axis]: scales[axis].text(value) for axis, value in values.items()},
                    "within": _within(of_load, side, gates),
                }
            )
    return pd.DataFrame(rows, columns=["commit", "load", *shown, *shown.values(), "within"])


def _within(rows: Mapping[str, ComparisonRow], side: str, gates: Sequence[GateInfo]) -> bool | None:
    within = []
    for row in rows.values():
        limit = limit_of(row.series, gates)
        if limit is None:
            continue
        value = getattr(row, side)
        if value is None:
            return None
        within.append(value >= limit if row.series.better == "higher" else value <= limit)
    return all(within) if within else None


def highest_within(frame: pd.DataFrame) -> pd.DataFrame:
    """Of each commit the row with the highest throughput that keeps to all limits."""
    within = frame[frame["within"].eq(True)]
    if within.empty:
        return within
    return within.loc[within.groupby("commit", sort=False)["throughput value"].idxmax()]


def limits_text(sweep: Sweep, gates: Sequence[GateInfo]) -> str:
    """The limits that the points are held against: "ttft_p50 2 s, tpot_p50 500 ms"."""
    texts = {}
    for rows in sweep.points.values():
        for name, row in rows.items():
            limit = limit_of(row.series, gates)
            if limit is not None:
                texts[name] = format_value(limit, row.series.unit)
    return ", ".join(f"{name} {text}" for name, text in sorted(texts.items()))
