"""The history of one series: values, intervals, levels, environments and failures by commit."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Any, Literal

import altair as alt
import pandas as pd

from dashboard.charts.parts import finish, is_finite, nothing_measured, sense_colour
from dashboard.palette import Palette
from dashboard.tables import history_frame, level_frame
from dashboard.units import Scale, direction, scale_for
from tracker.domain import SeriesHistory

__all__ = ["Look", "history_chart", "history_scale", "is_near", "overlay_chart"]

_LABEL_ROWS = 2  # rows of fingerprint labels above a chart before they would overlap
_BREAK = "break-paths-show-domains"
_NUMBER = "format(datum.value, ',.6~r')"


@dataclass(frozen=True, slots=True)
class Look:
    """How the reader wants to see histories.

    Attributes:
        by: Commits evenly spaced, or where their dates are.
        values: In the unit, on a logarithmic axis, or in percent of the first values shown.
    """

    by: Literal["commit", "date"] = "commit"
    values: Literal["unit", "log", "relative"] = "unit"


_FIRST = 5  # values whose median is 100 % of the relative scale
_PICK = "pick"  # name of the selection of a point


def history_scale(history: SeriesHistory, look: Look = Look()) -> Scale:
    """The scale of a history's axis and table."""
    values = [p.value for p in history.points if is_finite(p.value)]
    if look.values == "relative" and (first := median(values[:_FIRST] or [0.0])):
        return Scale(first / 100, "% of the first")
    return scale_for(history.series.unit, values)


class _Places:
    """From the place of a commit in a history to its x; between two commits it is interpolated."""

    def __init__(self, dates: Sequence[datetime], by: str) -> None:
        self._by_date = by == "date" and len(dates) > 1
        days = [date.timestamp() / _DAY for date in dates]
        # Commits of one second must not fall onto each other, nor go back where a clock was wrong.
        for place in range(1, len(days)):
            days[place] = max(days[place], days[place - 1] + 1e-4)
        self._days = days

    def __call__(self, place: float) -> float:
        if not self._by_date:
            return place
        days = self._days
        left = min(max(int(place // 1), 0), len(days) - 2)
        reach = min(max(place - left, -0.5), 1.5)
        return days[left] + (days[left + 1] - days[left]) * reach

    def domain(self) -> list[float]:
        last = len(self._days) - 1
        if not self._by_date:
            return [-0.5, max(last + 0.5, 0.5)]
        margin = max(0.01 * (self._days[-1] - self._days[0]), 0.01)
        return [self._days[0] - margin, self._days[-1] + margin]

    def x(self, field: str) -> alt.X:
        """The encoding of a field that holds x; the domain is said by every layer, else it grows to 0."""
        return alt.X(f"{field}:Q").scale(domain=self.domain(), nice=False, zero=False)

    def axis(self, frame: pd.DataFrame, palette: Palette, *, max_ticks: int) -> alt.Axis:
        if not self._by_date:
            return _commit_axis(frame, palette, max_ticks=max_ticks)
        return alt.Axis(
            tickCount=max_ticks,
            labelExpr=f"timeFormat(datum.value * {1000 * _DAY}, '%Y-%m-%d')",
            labelFlush=True,
            grid=False,
            tickColor=palette.grid,
        )

    def moved(self, frame: pd.DataFrame, *columns: str) -> pd.DataFrame:
        """The frame with places in the columns turned into x."""
        return frame.assign(**{name: [self(v) for v in frame[name]] for name in columns})


_DAY = 86_400  # seconds


def history_chart(
    history: SeriesHistory,
    palette: Palette,
    *,
    commit_url: str | None = None,
    limit: float | None = None,
    height: int = 380,
    compact: bool = False,
    look: Look = Look(),
    launches: pd.DataFrame | None = None,
    pick: bool = False,
) -> alt.LayerChart:
    """Value against commit, with intervals, level shifts, environment changes and failures.

    Args:
        history: At least one point, in commit order.
        palette: Colours for the background it will stand on.
        commit_url: Template with {commit}; a point then links to its commit.
        limit: The worst value that the project allows, in the series' unit; a line where the values
            come near it, left out where they are far: see `is_near`.
        height: Pixels of the plot itself.
        compact: For small multiples: fewer ticks, no labels on the rules.
        look: Axes.
        launches: Single values to draw as well: "revision_id" and "value" in the series' unit.
        pick: Points can be clicked (selection "pick", field "commit") and the x axis zoomed and dragged;
            they then are no links.

    Returns:
        A layered chart; its frames hold scaled values, its tooltips texts with units.
    """
    scale = history_scale(history, look)
    places = _Places([p.revision.committed_at for p in history.points], look.by)
    indexed = history_frame(history, scale, commit_url=commit_url)
    frame = places.moved(indexed, "index")
    measured = frame[frame["value"].notna()]
    failures = frame[frame["status"] != "ok"]
    num = len(frame)
    axis = places.axis(indexed, palette, max_ticks=3 if compact else 8)
    x = places.x("index").axis(axis).title(None)
    unit = scale.unit or "value"
    title = unit if compact else f"{unit} ({direction(history.series.better)})"
    line = limit if limit is not None and is_near(limit, history) else None
    domain = _y_domain(history, scale, line, room_below=0.14 if len(failures) else 0.0)
    positive = all(row > 0 for row in measured["value"])
    log = look.values == "log" and positive and len(measured) > 0
    if log:
        values = [*measured["value"], *([scale(line)] if line is not None else [])]
        domain = [min(values) / 1.15, max(values) * 1.15]
    y = alt.Y("value:Q").scale(
        domain=domain, nice=False, zero=False, type="log" if log else "linear", clamp=log
    )
    y = y.axis(tickCount=4 if compact else 6, labelExpr=_NUMBER).title(title)
    tooltip = [
        alt.Tooltip("text:N", title="value"),
        alt.Tooltip("interval:N", title="interval"),
        alt.Tooltip("commit:N", title="commit"),
        alt.Tooltip("date:N", title="committed"),
        alt.Tooltip("subject:N", title="subject"),
        alt.Tooltip("attempts:Q", title="attempts"),
    ]
    layers: list[Any] = _environment_bands(history, places, palette)
    if launches is not None and len(launches):
        layers.append(_launch_marks(launches, frame, scale, palette).encode(x=x, y=y))
    if len(measured):
        intervals = measured[measured["low"].notna() & measured["high"].notna()]
        if len(intervals):
            layers.append(
                alt.Chart(intervals)
                .mark_rule(color=palette.interval, opacity=0.7, strokeWidth=2, clip=True)
                .encode(x=x, y=alt.Y("low:Q").scale(domain=domain), y2="high:Q")
            )
        layers.append(
            alt.Chart(frame)
            .mark_line(color=palette.value, opacity=0.45, strokeWidth=1.2, invalid=_BREAK)
            .encode(x=x, y=y, detail="segment:N")
        )
    if line is not None:
        layers.append(
            alt.Chart(pd.DataFrame([{"limit": scale(line), "text": scale.text(line)}]))
            .mark_rule(color=palette.worse, strokeDash=[8, 4], strokeWidth=1.5)
            .encode(
                y=alt.Y("limit:Q").scale(domain=domain),
                tooltip=alt.Tooltip("text:N", title="limit"),
            )
        )
    layers += _environment_rules(history, indexed, places, palette, labels=not compact)
    layers += _levels(history, scale, palette, places, domain, compact=compact)
    if len(measured):
        points = alt.Chart(measured).mark_circle(
            color=palette.value, size=_dot_size(num, compact), opacity=0.95, tooltip=True
        )
        encoding: dict[str, Any] = {"x": x, "y": y, "tooltip": tooltip}
        if pick:
            picked = alt.selection_point(_PICK, fields=["commit"], on="click", empty=False)
            zoom = alt.selection_interval(bind="scales", encodings=["x"])
            encoding["size"] = alt.condition(
                picked, alt.value(220), alt.value(_dot_size(num, compact))
            )
            points = points.add_params(picked, zoom)
        elif commit_url:
            encoding["href"] = alt.Href("link:N")
        layers.append(points.encode(**encoding))
    if len(failures):
        layers.append(
            alt.Chart(failures)
            .mark_point(
                shape="cross", angle=45, size=60, filled=True, color=palette.failed, opacity=1
            )
            .encode(
                x=x,
                y=alt.value(alt.ExprRef("height - 7")),
                tooltip=[
                    alt.Tooltip("status:N", title="not measured"),
                    *tooltip[2:],
                ],
            )
        )
    if not compact:
        layers += _shift_labels(history, scale, palette, places)
    chart = alt.layer(*layers) if layers else alt.layer(nothing_measured(palette))
    return finish(chart.properties(height=height), palette)


def is_near(limit: float, history: SeriesHistory) -> bool:
    """Whether some value is within a factor of two of the limit, or beyond it."""
    values = [p.value for p in history.points if is_finite(p.value)]
    if history.series.better == "higher":
        return any(value <= 2 * limit for value in values if value is not None)
    return any(2 * value >= limit for value in values if value is not None)


def _dot_size(num: int, compact: bool) -> int:
    """Dots of many commits shrink, so that they stay apart."""
    size = 44 if num <= 120 else 26 if num <= 300 else 14
    return min(size, 20) if compact else size


def _commit_axis(frame: pd.DataFrame, palette: Palette, *, max_ticks: int) -> alt.Axis:
    """Commit and date under a few evenly spaced ticks; commits are ordinal, not on a calendar."""
    num = len(frame)
    ticks = _spread(num, max_ticks)
    names = {i: [frame["commit"].iloc[i][:7], frame["date"].iloc[i][:10]] for i in ticks}
    table = json.dumps({str(i): names[i] for i in ticks})
    return alt.Axis(
        values=ticks,
        labelExpr=f"({table})[datum.value]",
        labelOverlap="greedy",
        labelBound=False,
        labelFlush=True,
        labelSeparation=6,
        grid=False,
        tickColor=palette.grid,
    )


def _spread(num: int, most: int) -> list[int]:
    if num <= most:
        return list(range(num))
    # A label is wider than a tick: at the very ends of a small chart it would be cut.
    inset = round(num * 0.1) if most <= 3 else 0
    return sorted({inset + round(i * (num - 1 - 2 * inset) / (most - 1)) for i in range(most)})


def _y_domain(
    history: SeriesHistory, scale: Scale, limit: float | None, *, room_below: float
) -> list[float]:
    """The values and levels decide; an interval may add a third of their range, no more."""
    values = [scale(p.value) for p in history.points if is_finite(p.value)]
    lines, _ = level_frame(history, scale)
    core = values + ([] if lines.empty else [*lines["level"], *lines["end"]])
    if not core:
        return [0.0, 1.0]
    if limit is not None:
        core.append(scale(limit))
    low, high = min(core), max(core)
    span = high - low or abs(high) * 0.1 or 1.0
    ends = [scale(end) for p in history.points for end in (p.ci_low, p.ci_high) if is_finite(end)]
    bottom = max(min([low, *ends]), low - span / 3) - span * 0.06
    top = min(max([high, *ends]), high + span / 3) + span * 0.12
    if low >= 0 and bottom < 0:
        bottom = 0.0 if not room_below else bottom
    return [bottom - (top - bottom) * room_below, top]


def _levels(
    history: SeriesHistory,
    scale: Scale,
    palette: Palette,
    places: _Places,
    domain: list[float],
    *,
    compact: bool,
) -> list[Any]:
    lines, marks = level_frame(history, scale)
    if lines.empty:
        return []
    lines = places.moved(lines, "start", "stop")
    if not marks.empty:
        marks = places.moved(marks, "edge")
    y = alt.Y("level:Q").scale(domain=domain)
    colour = sense_colour(palette)
    tooltip = [
        alt.Tooltip("effect:N", title="level shift"),
        alt.Tooltip("levels:N", title="levels"),
        alt.Tooltip("commit:N", title="first commit"),
        alt.Tooltip("date:N", title="committed"),
        alt.Tooltip("subject:N", title="subject"),
    ]
    layers: list[Any] = [
        alt.Chart(lines)
        .mark_rule(color=palette.level, strokeWidth=2, opacity=0.85)
        .encode(x=places.x("start"), x2="stop:Q", y=y, y2="end:Q")
    ]
    if not marks.empty:
        layers.append(
            alt.Chart(marks)
            .mark_rule(strokeWidth=1.5, strokeDash=[2, 2])
            .encode(x=places.x("edge"), y=y, y2="before:Q", color=colour)
        )
        layers.append(
            alt.Chart(marks)
            .mark_point(filled=True, size=70 if compact else 130, opacity=1)
            .encode(
                x=places.x("edge"),
                y=y,
                color=colour,
                shape=alt.Shape("sense:N")
                .scale(domain=["up", "down"], range=["triangle-up", "triangle-down"])
                .legend(None),
                tooltip=tooltip,
            )
        )
    return layers


def _shift_labels(
    history: SeriesHistory, scale: Scale, palette: Palette, places: _Places
) -> list[Any]:
    """How far each shift went, written halfway between its levels, over everything else."""
    _, marks = level_frame(history, scale)
    if marks.empty:
        return []
    marks["middle"] = (marks["level"] + marks["before"]) / 2
    marks = places.moved(marks, "edge")
    # Right of the last third the label turns left, so that the plot's edge never cuts it.
    first, last = places.domain()
    turns = marks["edge"] >= first + (last - first) * 2 / 3
    layers: list[Any] = []
    for align, part in (("left", marks[~turns]), ("right", marks[turns])):
        if part.empty:
            continue
        text = {
            "align": align,
            "dx": 8 if align == "left" else -8,
            "fontSize": 14,
            "fontWeight": "bold",
        }
        chart = alt.Chart(part)
        place = {"x": places.x("edge"), "y": alt.Y("middle:Q"), "text": "effect:N"}
        halo = chart.mark_text(stroke=palette.background, strokeWidth=5, **text).encode(**place)
        words = chart.mark_text(**text).encode(color=sense_colour(palette), **place)
        layers += [halo, words]
    return layers


def _launch_marks(
    launches: pd.DataFrame, frame: pd.DataFrame, scale: Scale, palette: Palette
) -> alt.Chart:
    """Single launches as short strokes at their commit."""
    x = dict(zip(frame["revision_id"], frame["index"], strict=True))
    shown = launches[launches["revision_id"].isin(list(x))]
    shown = shown.assign(
        index=[x[revision] for revision in shown["revision_id"]],
        text=[scale.text(value) for value in shown["value"]],
        value=[scale(value) for value in shown["value"]],
    )
    tooltip = [
        alt.Tooltip("text:N", title="launch"),
        alt.Tooltip("source:N"),
        alt.Tooltip("started:N"),
    ]
    return alt.Chart(shown).mark_tick(
        color=palette.neutral, orient="horizontal", size=9, thickness=1.5, opacity=0.8, clip=True
    ).encode(tooltip=tooltip)  # fmt: skip


def _environment_bands(history: SeriesHistory, places: _Places, palette: Palette) -> list[Any]:
    """Every second environment stands on a tinted ground."""
    at = {point.revision.id: place for place, point in enumerate(history.points)}
    edges = sorted(
        at[c.revision.id] - 0.5 for c in history.fingerprint_changes if c.revision.id in at
    )
    ends = [*edges, len(history.points) - 0.5]
    bands = [
        {"from": places(ends[place]), "to": places(ends[place + 1])}
        for place in range(0, len(edges), 2)
    ]
    if not bands:
        return []
    return [
        alt.Chart(pd.DataFrame(bands))
        .mark_rect(color=palette.rule, opacity=0.07, clip=True)
        .encode(x=places.x("from"), x2="to:Q")
    ]


def _environment_rules(
    history: SeriesHistory,
    frame: pd.DataFrame,
    places: _Places,
    palette: Palette,
    *,
    labels: bool,
) -> list[Any]:
    at = {int(row): i for i, row in enumerate(frame["revision_id"])}
    rows = []
    for change in history.fingerprint_changes:
        if change.revision.id not in at:
            continue
        changes = [
            f"{name}: {before or 'unknown'} → {after or 'unknown'}"
            for name, before, after in change.changed
        ]
        names = [name.rpartition(".")[2] for name, _, _ in change.changed]
        short = names[0] if len(names) == 1 else f"{names[0]} +{len(names) - 1}" if names else ""
        rows.append(
            {
                "edge": places(at[change.revision.id] - 0.5),
                "short": short or "environment",
                "changed": "; ".join(changes) or "environment",
                "commit": change.revision.commit[:10],
            }
        )
    if not rows:
        return []
    tooltip = [
        alt.Tooltip("changed:N", title="environment"),
        alt.Tooltip("commit:N", title="from commit"),
    ]
    layers: list[Any] = [
        alt.Chart(pd.DataFrame(rows))
        .mark_rule(color=palette.rule, strokeDash=[5, 4], strokeWidth=1.5)
        .encode(x=places.x("edge"), tooltip=tooltip)
    ]
    if labels:
        placed = _stagger(rows, places.domain())
        for row in range(_LABEL_ROWS):
            part = [r for r in placed if r["row"] == row]
            for align in ("left", "right"):
                aligned = [r for r in part if r["align"] == align]
                if aligned:
                    layers.append(
                        alt.Chart(pd.DataFrame(aligned))
                        .mark_text(
                            align=align,
                            dx=4 if align == "left" else -4,
                            fontSize=12,
                            baseline="top",
                            color=palette.rule,
                            limit=150,
                        )
                        .encode(
                            x=places.x("edge"),
                            y=alt.value(2 + 14 * row),
                            text="short:N",
                            tooltip=tooltip,
                        )
                    )
    return layers


def _stagger(rows: Sequence[dict[str, Any]], domain: Sequence[float]) -> list[dict[str, Any]]:
    """Give each label a row in which it does not touch the one before; the rest go without."""
    ends = [float("-inf")] * _LABEL_ROWS
    width = domain[1] - domain[0]
    placed = []
    for row in rows:
        align = "right" if row["edge"] > domain[0] + width * 0.75 else "left"
        size = width * 0.02 * max(len(row["short"]), 6)
        start = row["edge"] - (size if align == "right" else 0)
        for i, end in enumerate(ends):
            if start >= end:
                ends[i] = start + size
                placed.append({**row, "row": i, "align": align})
                break
    return placed


def overlay_chart(
    histories: Sequence[tuple[str, SeriesHistory]], palette: Palette, *, look: Look
) -> alt.LayerChart:
    """Several histories in one plot, a line each; commits in the order of their dates.

    Series of different units share an axis only in percent of their first values, which is how they are
    drawn whatever `look` says.

    Args:
        histories: What each is called, and at least one point of each.
        palette: Colours for the background it will stand on.
        look: Axes.
    """
    if len({history.series.unit for _, history in histories}) > 1:
        look = Look(look.by, "relative")
    revisions = {p.revision.commit: p.revision for _, h in histories for p in h.points}
    ordered = sorted(revisions.values(), key=lambda revision: (revision.committed_at, revision.id))
    at = {revision.commit: place for place, revision in enumerate(ordered)}
    places = _Places([revision.committed_at for revision in ordered], look.by)
    common = scale_for(
        histories[0][1].series.unit, [p.value for _, h in histories for p in h.points]
    )
    rows = []
    for name, history in histories:
        scale = history_scale(history, look) if look.values == "relative" else common
        rows += [
            {
                "series": name,
                "index": places(at[p.revision.commit]),
                "value": scale(p.value) if p.value is not None else None,
                "text": scale_for(history.series.unit, [p.value]).text(p.value),
                "commit": p.revision.commit[:10],
                "date": p.revision.committed_at.strftime("%Y-%m-%d %H:%M"),
                "subject": p.revision.subject or "–",
            }
            for p in history.points
        ]
    frame = pd.DataFrame(rows)
    ticks = pd.DataFrame(
        {
            "commit": [revision.commit for revision in ordered],
            "date": [revision.committed_at.strftime("%Y-%m-%d") for revision in ordered],
        }
    )
    names = [name for name, _ in histories]
    unit = "% of the first" if look.values == "relative" else common.unit or "value"
    log = look.values == "log" and bool((frame["value"].dropna() > 0).all())
    x = places.x("index").axis(places.axis(ticks, palette, max_ticks=8)).title(None)
    y = alt.Y("value:Q").scale(zero=False, type="log" if log else "linear")
    y = y.axis(tickCount=6, labelExpr=_NUMBER).title(unit)
    colours = [palette.lines[place % len(palette.lines)] for place in range(len(names))]
    base = alt.Chart(frame).encode(
        x=x,
        y=y,
        color=alt.Color("series:N")
        .scale(domain=names, range=colours)
        .legend(
            orient="top",
            columns=1,
            title=None,
            labelLimit=700,
            symbolType="stroke",
            symbolStrokeWidth=2,
        ),
    )
    lines = base.mark_line(strokeWidth=1.6, opacity=0.8, invalid=_BREAK).encode(
        strokeDash=alt.StrokeDash("series:N").scale(domain=names).legend(None)
    )
    zoom = alt.selection_interval(bind="scales", encodings=["x"])
    dots = base.mark_circle(size=_dot_size(len(ordered), compact=False), opacity=0.95).encode(
        tooltip=[
            "series:N",
            alt.Tooltip("text:N", title="value"),
            "commit:N",
            "date:N",
            "subject:N",
        ]
    )
    return finish(alt.layer(lines, dots.add_params(zoom)).properties(height=420), palette)
