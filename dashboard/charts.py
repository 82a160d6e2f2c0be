"""Domain values to Altair charts: pure, no Streamlit, no store, no statistics.

Every chart states its unit and direction on the axis, breaks its line where the environment
changed or nothing was measured, and shows a failure as a mark on the axis.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import altair as alt
import pandas as pd

from dashboard.groups import bare_name, label, scenario, short_name, suite_of
from dashboard.palette import Palette
from dashboard.tables import compare_frame, history_frame, level_frame, sort_key
from dashboard.units import Scale, direction, format_effect, scale_for
from tracker.domain import ComparisonRow, GateInfo, SeriesHistory, VerdictInfo

__all__ = [
    "changes_chart",
    "forest_chart",
    "history_chart",
    "history_scale",
]

_LABEL_ROWS = 2  # rows of fingerprint labels above a chart before they would overlap
_ROW = 40  # height of one row of a bar or forest chart: its name above, its mark below
_AXES = 90  # what axis, title and legend take of a bar or forest chart's height


def history_scale(history: SeriesHistory) -> Scale:
    """The scale of a history's axis and table."""
    return scale_for(history.series.unit, [p.value for p in history.points])


def history_chart(
    history: SeriesHistory,
    palette: Palette,
    *,
    commit_url: str | None = None,
    height: int = 380,
    compact: bool = False,
) -> alt.LayerChart:
    """Value against commit, with intervals, level shifts, environment changes and failures.

    Args:
        history: At least one point, in commit order.
        palette: Colours for the background it will stand on.
        commit_url: Template with {commit}; a point then links to its commit.
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
    x = alt.X("index:Q").axis(_commit_axis(frame, palette, max_ticks=4 if compact else 8))
    x = x.scale(domain=[-0.5, max(num - 0.5, 0.5)], nice=False).title(None)
    unit = scale.unit or "value"
    title = unit if compact else f"{unit} ({direction(history.series.better)})"
    domain = _y_domain(history, scale, room_below=0.14 if len(failures) else 0.0)
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
    chart = alt.layer(*layers) if layers else alt.layer(_nothing(palette))
    return _finish(chart.properties(height=height), palette)


def _dot_size(num: int, compact: bool) -> int:
    """Dots of many commits shrink, so that they stay apart."""
    size = 44 if num <= 120 else 26 if num <= 300 else 14
    return min(size, 20) if compact else size


_BREAK = "break-paths-show-domains"
_NUMBER = "format(datum.value, ',.6~r')"
_SIGNED = "datum.value == 0 ? '0' : format(datum.value, '+,.4~r')"


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
    return sorted({round(i * (num - 1) / (most - 1)) for i in range(most)})


def _y_domain(history: SeriesHistory, scale: Scale, *, room_below: float) -> list[float]:
    """The values and levels decide; an interval may add a third of their range, no more."""
    values = [scale(p.value) for p in history.points if _finite(p.value)]
    lines, _ = level_frame(history, scale)
    core = values + ([] if lines.empty else list(lines["level"]))
    if not core:
        return [0.0, 1.0]
    low, high = min(core), max(core)
    span = high - low or abs(high) * 0.1 or 1.0
    ends = [scale(end) for p in history.points for end in (p.ci_low, p.ci_high) if _finite(end)]
    bottom = max(min([low, *ends]), low - span / 3) - span * 0.06
    top = min(max([high, *ends]), high + span / 3) + span * 0.12
    if low >= 0 and bottom < 0:
        bottom = 0.0 if not room_below else bottom
    return [bottom - (top - bottom) * room_below, top]


def _finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


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
    colour = _sense_colour(palette)
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
        .encode(x=alt.X("start:Q"), x2="stop:Q", y=y)
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
        words = chart.mark_text(**text).encode(color=_sense_colour(palette), **place)
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


def changes_chart(
    rows: Iterable[ComparisonRow], palette: Palette, *, most: int = 20
) -> alt.LayerChart | None:
    """Bars of relative change, worst first; grey where no direction is stated.

    Returns:
        None where nothing changed.
    """
    ranked = sorted((r for r in rows if r.effect), key=sort_key)
    if len(ranked) > most:
        # The worst, and from the other end the best; what hardly moved is in the table.
        moved = sorted(ranked, key=lambda r: -abs(r.effect or 0.0))[:most]
        ranked = sorted(moved, key=sort_key)
    if not ranked:
        return None
    frame = compare_frame(ranked)
    frame["order"] = range(len(frame))
    frame["percent"] = [100 * (r.effect or 0.0) for r in ranked]
    frame["caption"] = _captions_of(ranked)
    reach = max(abs(frame["percent"]).max(), 0.5)
    domain = [
        min(frame["percent"].min(), 0) - reach * 0.02,
        max(frame["percent"].max(), 0) + reach * 0.02,
    ]
    colour = _sense_colour(palette)
    y = alt.Y("order:O").axis(None).scale(paddingInner=0, paddingOuter=0)
    x = alt.X("percent:Q").title("change, head against base (%)").scale(domain=domain, nice=False)
    x = x.axis(labelExpr=_SIGNED, orient="top", tickCount=5)
    tooltip = [
        alt.Tooltip("metric:N"),
        alt.Tooltip("suite:N"),
        alt.Tooltip("base:N"),
        alt.Tooltip("head:N"),
        alt.Tooltip("change:N"),
        alt.Tooltip("direction:N"),
        alt.Tooltip("machine:N"),
    ]
    base = alt.Chart(frame)
    bars = base.mark_bar(height=10, yOffset=9, cornerRadius=2).encode(
        x=x, y=y, color=colour, tooltip=tooltip
    )
    zero = base.mark_rule(color=palette.muted).encode(x=alt.datum(0))
    return _finish(
        alt.layer(zero, bars, *_captions(base, y, palette, tooltip)).properties(
            height=_ROW * len(frame) + _AXES
        ),
        palette,
    )


def _captions_of(rows: Sequence[ComparisonRow]) -> list[str]:
    """Effect and metric first, so that a phone cuts the rest; the place only where it decides."""
    counts = Counter(label(row.series) for row in rows)
    captions = []
    for row in rows:
        name = f"{short_name(row.series)} · {scenario(row.series)}"
        if counts[label(row.series)] > 1:
            name = f"{name} · {row.series.machine}, {row.series.environment}"
        captions.append(f"{format_effect(row.effect)}  {name}")
    return captions


def _captions(
    base: alt.Chart, y: alt.Y, palette: Palette, tooltip: list[alt.Tooltip]
) -> list[alt.Chart]:
    text: dict[str, Any] = {"align": "left", "baseline": "middle", "yOffset": -7, "fontSize": 13}
    # A caption wider than the plot would make Vega shrink the plot to nothing.
    text["limit"] = alt.ExprRef("width - 4")
    place = {"y": y, "x": alt.value(2), "text": "caption:N"}
    halo = base.mark_text(stroke=palette.background, strokeWidth=5, **text).encode(**place)
    words = base.mark_text(color=palette.text, **text).encode(tooltip=tooltip, **place)
    return [halo, words]


def _sense_colour(palette: Palette) -> alt.Color:
    return (
        alt.Color("verdict:N")
        .scale(
            domain=["worse", "better", "changed"],
            range=[palette.worse, palette.better, palette.neutral],
        )
        .legend(None)
    )


_STATUS_ORDER = {"regression": 0, "inconclusive": 1, "improvement": 2, "pass": 3}


def forest_chart(
    gate: GateInfo, palette: Palette, *, margins: Mapping[str, float] | None = None
) -> alt.LayerChart | None:
    """Each verdict's effect and interval against zero and the margin, regressions on top.

    Args:
        gate: Verdicts without an effect are left out, and exact metrics that did not move.
        palette: Colours for the background it will stand on.
        margins: Metric to the smallest relative change that matters; a band of that half width
            is drawn in its row.

    Returns:
        None where nothing is left.
    """
    verdicts = [
        v for v in gate.verdicts if _finite(v.effect) and not (v.kind == "exact" and v.effect == 0)
    ]
    if not verdicts:
        return None
    verdicts.sort(key=lambda v: (_STATUS_ORDER[v.status], v.metric))
    frame = pd.DataFrame([_forest_row(i, v) for i, v in enumerate(verdicts)])
    core = [frame["percent"].min(), frame["percent"].max(), 0.0]
    margins = margins or {}
    for margin in margins.values():
        core += [-150 * margin, 150 * margin]
    span = max(max(core) - min(core), 0.5)
    lows = [v for v in frame["low"] if not math.isnan(v)]
    highs = [v for v in frame["high"] if not math.isnan(v)]
    # An interval of one or two pairs is enormous: it is cut, the table has its ends.
    domain = [
        max(min([*core, *lows]), min(core) - span) - span * 0.04,
        min(max([*core, *highs]), max(core) + span) + span * 0.04,
    ]
    colour = (
        alt.Color("status:N")
        .scale(
            domain=["regression", "improvement", "pass", "inconclusive"],
            range=[palette.worse, palette.better, palette.value, palette.neutral],
        )
        .legend(orient="top", title=None, symbolType="circle", labelFontSize=13)
    )
    y = alt.Y("order:O").axis(None).scale(paddingInner=0, paddingOuter=0)
    x = alt.X("percent:Q").title("effect, head against base (%)").scale(domain=domain, nice=False)
    x = x.axis(labelExpr=_SIGNED, tickCount=5)
    tooltip = [
        alt.Tooltip("metric:N"),
        alt.Tooltip("status:N", title="verdict"),
        alt.Tooltip("effect:N"),
        alt.Tooltip("interval:N"),
        alt.Tooltip("direction:N"),
        alt.Tooltip("pairs:Q"),
        alt.Tooltip("reason:N"),
    ]
    base = alt.Chart(frame)
    layers: list[Any] = []
    bands = [
        {"order": i, "from": -100 * margins[v.metric], "to": 100 * margins[v.metric]}
        for i, v in enumerate(verdicts)
        if v.metric in margins
    ]
    if bands:
        layers.append(
            alt.Chart(pd.DataFrame(bands))
            .mark_bar(color=palette.neutral, opacity=0.22, height=20, yOffset=9)
            .encode(x=alt.X("from:Q"), x2="to:Q", y=y)
        )
    layers.append(base.mark_rule(color=palette.muted).encode(x=alt.datum(0)))
    layers.append(
        base.mark_rule(strokeWidth=3, yOffset=9, clip=True).encode(
            x=alt.X("low:Q"), x2="high:Q", y=y, color=colour, tooltip=tooltip
        )
    )
    layers.append(
        base.mark_circle(size=120, yOffset=9, opacity=1).encode(
            x=x, y=y, color=colour, tooltip=tooltip
        )
    )
    layers += _captions(base, y, palette, tooltip)
    return _finish(alt.layer(*layers).properties(height=_ROW * len(frame) + _AXES), palette)


def _forest_row(order: int, verdict: VerdictInfo) -> dict[str, Any]:
    low = 100 * verdict.low if _finite(verdict.low) else math.nan  # type: ignore[operator]
    high = 100 * verdict.high if _finite(verdict.high) else math.nan  # type: ignore[operator]
    effect = format_effect(verdict.effect)
    return {
        "order": order,
        "metric": verdict.metric,
        "status": verdict.status,
        "percent": 100 * (verdict.effect or 0.0),
        "low": low,
        "high": high,
        "effect": effect,
        "interval": f"{format_effect(verdict.low)} to {format_effect(verdict.high)}",
        "direction": direction(verdict.better),
        "pairs": verdict.pairs,
        "reason": verdict.reason or "–",
        "caption": f"{effect}  {bare_name(verdict.metric)} · {suite_of(verdict.metric)}",
    }


def _nothing(palette: Palette) -> alt.Chart:
    return (
        alt.Chart(pd.DataFrame([{"note": "nothing measured"}]))
        .mark_text(color=palette.muted, fontSize=14)
        .encode(text="note:N")
    )


def _finish(chart: alt.LayerChart, palette: Palette) -> alt.LayerChart:
    return (
        chart.configure_view(stroke=None)
        .configure(background="transparent", padding={"left": 2, "right": 8, "top": 8, "bottom": 2})
        .configure_axis(
            labelColor=palette.muted,
            titleColor=palette.muted,
            gridColor=palette.grid,
            domainColor=palette.grid,
            labelFontSize=12,
            titleFontSize=13,
            titleFontWeight="normal",
        )
    )
