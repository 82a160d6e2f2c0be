"""The history of one series: values, intervals, levels, environments and failures by commit."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd

from dashboard.charts.parts import finish, is_finite, nothing_measured, sense_colour
from dashboard.palette import Palette
from dashboard.tables import history_frame, level_frame
from dashboard.units import Scale, direction, scale_for
from tracker.domain import SeriesHistory

__all__ = ["history_chart", "history_scale", "is_near"]

_LABEL_ROWS = 2  # rows of fingerprint labels above a chart before they would overlap
_BREAK = "break-paths-show-domains"
_NUMBER = "format(datum.value, ',.6~r')"


def history_scale(history: SeriesHistory) -> Scale:
    """The scale of a history's axis and table."""
    return scale_for(history.series.unit, [p.value for p in history.points])


def history_chart(
    history: SeriesHistory,
    palette: Palette,
    *,
    commit_url: str | None = None,
    limit: float | None = None,
    height: int = 380,
    compact: bool = False,
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

    Returns:
        A layered chart; its frames hold scaled values, its tooltips texts with units.
    """
    scale = history_scale(history)
    frame = history_frame(history, scale, commit_url=commit_url)
    measured = frame[frame["value"].notna()]
    failures = frame[frame["status"] != "ok"]
    num = len(frame)
    x = alt.X("index:Q").axis(_commit_axis(frame, palette, max_ticks=3 if compact else 8))
    x = x.scale(domain=[-0.5, max(num - 0.5, 0.5)], nice=False).title(None)
    unit = scale.unit or "value"
    title = unit if compact else f"{unit} ({direction(history.series.better)})"
    line = limit if limit is not None and is_near(limit, history) else None
    domain = _y_domain(history, scale, line, room_below=0.14 if len(failures) else 0.0)
    y = alt.Y("value:Q").scale(domain=domain, nice=False, zero=False)
    y = y.axis(tickCount=4 if compact else 6, labelExpr=_NUMBER).title(title)
    tooltip = [
        alt.Tooltip("text:N", title="value"),
        alt.Tooltip("interval:N", title="interval"),
        alt.Tooltip("commit:N", title="commit"),
        alt.Tooltip("date:N", title="committed"),
        alt.Tooltip("subject:N", title="subject"),
        alt.Tooltip("attempts:Q", title="attempts"),
    ]
    layers: list[Any] = []
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
    layers += _environment_rules(history, frame, palette, x, labels=not compact)
    layers += _levels(history, scale, palette, x, domain, compact=compact)
    if len(measured):
        points = alt.Chart(measured).mark_circle(
            color=palette.value, size=_dot_size(num, compact), opacity=0.95, tooltip=True
        )
        encoding: dict[str, Any] = {"x": x, "y": y, "tooltip": tooltip}
        if commit_url:
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
        layers += _shift_labels(history, scale, palette)
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
    x: alt.X,
    domain: list[float],
    *,
    compact: bool,
) -> list[Any]:
    lines, marks = level_frame(history, scale)
    if lines.empty:
        return []
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
        .encode(x=alt.X("start:Q"), x2="stop:Q", y=y, y2="end:Q")
    ]
    if not marks.empty:
        layers.append(
            alt.Chart(marks)
            .mark_rule(strokeWidth=1.5, strokeDash=[2, 2])
            .encode(x=alt.X("edge:Q"), y=y, y2="before:Q", color=colour)
        )
        layers.append(
            alt.Chart(marks)
            .mark_point(filled=True, size=70 if compact else 130, opacity=1)
            .encode(
                x=alt.X("edge:Q"),
                y=y,
                color=colour,
                shape=alt.Shape("sense:N")
                .scale(domain=["up", "down"], range=["triangle-up", "triangle-down"])
                .legend(None),
                tooltip=tooltip,
            )
        )
    return layers


def _shift_labels(history: SeriesHistory, scale: Scale, palette: Palette) -> list[Any]:
    """How far each shift went, written halfway between its levels, over everything else."""
    _, marks = level_frame(history, scale)
    if marks.empty:
        return []
    marks["middle"] = (marks["level"] + marks["before"]) / 2
    # Right of the last third the label turns left, so that the plot's edge never cuts it.
    turns = marks["edge"] >= len(history.points) * 2 / 3
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
        place = {"x": alt.X("edge:Q"), "y": alt.Y("middle:Q"), "text": "effect:N"}
        halo = chart.mark_text(stroke=palette.background, strokeWidth=5, **text).encode(**place)
        words = chart.mark_text(**text).encode(color=sense_colour(palette), **place)
        layers += [halo, words]
    return layers


def _environment_rules(
    history: SeriesHistory, frame: pd.DataFrame, palette: Palette, x: alt.X, *, labels: bool
) -> list[Any]:
    places = {int(row): i for i, row in enumerate(frame["revision_id"])}
    rows = []
    for change in history.fingerprint_changes:
        if change.revision.id not in places:
            continue
        changes = [
            f"{name}: {before or 'unknown'} → {after or 'unknown'}"
            for name, before, after in change.changed
        ]
        names = [name.rpartition(".")[2] for name, _, _ in change.changed]
        short = names[0] if len(names) == 1 else f"{names[0]} +{len(names) - 1}" if names else ""
        rows.append(
            {
                "edge": places[change.revision.id] - 0.5,
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
        .encode(x=alt.X("edge:Q"), tooltip=tooltip)
    ]
    if labels:
        placed = _stagger(rows, width=len(frame))
        for row in range(_LABEL_ROWS):
            part = [r for r in placed if r["row"] == row]
            for align in ("left", "right"):
                mine = [r for r in part if r["align"] == align]
                if mine:
                    layers.append(
                        alt.Chart(pd.DataFrame(mine))
                        .mark_text(
                            align=align,
                            dx=4 if align == "left" else -4,
                            fontSize=12,
                            baseline="top",
                            color=palette.rule,
                            limit=150,
                        )
                        .encode(
                            x=alt.X("edge:Q"),
                            y=alt.value(2 + 14 * row),
                            text="short:N",
                            tooltip=tooltip,
                        )
                    )
    return layers


def _stagger(rows: Sequence[dict[str, Any]], *, width: int) -> list[dict[str, Any]]:
    """Give each label a row in which it does not touch the one before; the rest go without."""
    ends = [float("-inf")] * _LABEL_ROWS
    placed = []
    for row in rows:
        align = "right" if row["edge"] > width * 0.75 else "left"
        size = width * 0.02 * max(len(row["short"]), 6)
        start = row["edge"] - (size if align == "right" else 0)
        for i, end in enumerate(ends):
            if start >= end:
                ends[i] = start + size
                placed.append({**row, "row": i, "align": align})
                break
    return placed
