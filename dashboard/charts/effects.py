"""Relative changes, a row each: of two stored commits, and of a gate's verdicts with intervals."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import altair as alt
import pandas as pd

from dashboard.charts.parts import AXES, ROW, SIGNED, captions, finish, is_finite, sense_colour
from dashboard.groups import bare_name, label, scenario, short_name, suite_of
from dashboard.palette import Palette
from dashboard.tables import compare_frame, sort_key
from dashboard.units import direction, format_effect
from tracker.domain import ComparisonRow, GateInfo, VerdictInfo

__all__ = ["arms_chart", "changes_chart", "forest_chart"]

_STATUS_ORDER = {"regression": 0, "inconclusive": 1, "improvement": 2, "pass": 3}


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
    colour = sense_colour(palette)
    y = alt.Y("order:O").axis(None).scale(paddingInner=0, paddingOuter=0)
    x = alt.X("percent:Q").title("change, head against base (%)").scale(domain=domain, nice=False)
    x = x.axis(labelExpr=SIGNED, orient="top", tickCount=5)
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
    zero = base.mark_rule(color=palette.muted, aria=False).encode(x=alt.datum(0))
    return finish(
        alt.layer(zero, bars, *captions(base, y, palette, tooltip)).properties(
            height=ROW * len(frame) + AXES
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
        v
        for v in gate.verdicts
        if is_finite(v.effect) and not (v.kind == "exact" and v.effect == 0)
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
    x = x.axis(labelExpr=SIGNED, tickCount=5)
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
    layers.append(base.mark_rule(color=palette.muted, aria=False).encode(x=alt.datum(0)))
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
    layers += captions(base, y, palette, tooltip)
    return finish(alt.layer(*layers).properties(height=ROW * len(frame) + AXES), palette)


def _forest_row(order: int, verdict: VerdictInfo) -> dict[str, Any]:
    low = 100 * verdict.low if is_finite(verdict.low) else math.nan  # type: ignore[operator]
    high = 100 * verdict.high if is_finite(verdict.high) else math.nan  # type: ignore[operator]
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


def arms_chart(frame: pd.DataFrame, palette: Palette, *, first: str) -> alt.LayerChart:
    """Each arm's value in percent of the first's, a row a metric; the axis is logarithmic.

    Args:
        frame: As `arms.arms_frame` makes it; at least one row.
        palette: Colours for the background it will stand on.
        first: Name of the arm that is 100 %.
    """
    metrics = list(dict.fromkeys(frame["metric"]))
    arms = list(dict.fromkeys(frame["arm"]))
    low, high = min(frame["percent"].min(), 95.0), max(frame["percent"].max(), 105.0)
    x = alt.X("percent:Q").scale(type="log", domain=[low / 1.05, high * 1.05], nice=False)
    x = x.axis(orient="top", tickCount=6, format="~r").title(f"percent of {first}")
    y = alt.Y("metric:N").sort(metrics).axis(labelLimit=220, grid=True).title(None)
    colours = [palette.lines[place % len(palette.lines)] for place in range(len(arms))]
    dots = (
        alt.Chart(frame)
        .mark_point(filled=True, size=110, opacity=1)
        .encode(
            x=x,
            y=y,
            color=alt.Color("arm:N")
            .scale(domain=arms, range=colours)
            .legend(orient="bottom", columns=1, title=None, labelLimit=700),
            shape=alt.Shape("arm:N").scale(domain=arms).legend(None),
            tooltip=["metric:N", "arm:N", "change:N", "first:N", "value:N", "direction:N"],
        )
    )
    one = alt.Chart(frame).mark_rule(color=palette.muted, aria=False).encode(x=alt.datum(100))
    height = 26 * len(metrics) + AXES + 24 * len(arms)
    return finish(alt.layer(one, dots).properties(height=height), palette)
