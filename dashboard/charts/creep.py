"""What is left of the creep budgets since a release."""

from __future__ import annotations

import altair as alt
import pandas as pd

from dashboard.charts.parts import finish
from dashboard.palette import Palette

__all__ = ["budget_chart"]


def budget_chart(frame: pd.DataFrame, palette: Palette) -> alt.LayerChart:
    """A line a metric from the whole budget down; below zero it is overspent.

    Args:
        frame: As `creep.budget_frame` makes it; at least one row.
        palette: Colours for the background it will stand on.
    """
    metrics = list(dict.fromkeys(frame["metric"]))
    low = min(frame["left"].min(), -0.05) * 1.1
    y = (
        alt.Y("left:Q")
        .scale(domain=[low, max(frame["left"].max(), 1.0) * 1.05], nice=False)
        .axis(format=".0%", tickCount=5)
        .title("budget left")
    )
    x = alt.X("index:Q").axis(grid=False, tickMinStep=1).title("commits since")
    colours = [palette.lines[place % len(palette.lines)] for place in range(len(metrics))]
    base = alt.Chart(frame).encode(
        x=x.scale(nice=False),
        y=y,
        color=alt.Color("metric:N")
        .scale(domain=metrics, range=colours)
        .legend(orient="top", title=None, labelLimit=260, symbolType="stroke", symbolStrokeWidth=2),
    )
    spent = pd.DataFrame([{"from": low, "to": 0.0}])
    return finish(
        alt.layer(
            alt.Chart(spent)
            .mark_rect(color=palette.worse, opacity=0.08, clip=True)
            .encode(y=alt.Y("from:Q"), y2="to:Q"),
            alt.Chart(spent)
            .mark_rule(color=palette.worse, strokeWidth=1.5)
            .encode(y=alt.Y("to:Q")),
            base.mark_line(strokeWidth=2).encode(
                strokeDash=alt.StrokeDash("metric:N").scale(domain=metrics).legend(None)
            ),
            base.mark_circle(size=22, opacity=1).encode(
                tooltip=["metric:N", "drift:N", "commit:N", "date:N", "subject:N"]
            ),
        ).properties(height=230),
        palette,
    )
