"""Latency against throughput over the load, a line a commit."""

from __future__ import annotations

import altair as alt
import pandas as pd

from dashboard.charts.parts import finish
from dashboard.palette import Palette

__all__ = ["frontier_chart"]


def frontier_chart(
    frame: pd.DataFrame,
    best: pd.DataFrame,
    palette: Palette,
    *,
    axis: str,
    latency: tuple[str, str] | None,
    throughput: tuple[str, str],
    limit: float | None,
) -> alt.LayerChart:
    """Right and down is better: more throughput at less latency.

    Args:
        frame: As `frontier.frontier_frame` makes it; at least one row.
        best: Of each commit the highest rate within the limits; may be empty.
        palette: Colours for the background it will stand on.
        axis: What the load is called.
        latency: Name and unit of the metric upwards; None: the throughput stands there, over the load.
        throughput: Name and unit of the metric to the right.
        limit: Of the latency, scaled; a line where a value comes within a factor of two of it.
    """
    commits = list(dict.fromkeys(frame["commit"]))
    rate = f"{throughput[0]} ({throughput[1]})"
    if latency is None:
        x = alt.X("load:Q").scale(zero=True).title(axis)
        y = alt.Y("throughput value:Q").scale(zero=True).title(rate)
    else:
        x = alt.X("throughput value:Q").scale(zero=True).title(rate)
        y = alt.Y("latency value:Q").scale(zero=True).title(f"{latency[0]} ({latency[1]})")
    colour = (
        alt.Color("commit:N")
        .scale(domain=commits, range=[palette.neutral, palette.value][-len(commits) :])
        .legend(orient="top", title=None, labelLimit=320, symbolType="stroke", symbolStrokeWidth=2)
    )
    tooltip = [
        alt.Tooltip("commit:N"),
        alt.Tooltip("load:Q", title=axis),
        *(alt.Tooltip(f"{metric[0]}:N") for metric in (latency, throughput) if metric),
        alt.Tooltip("within:N", title="within the limits"),
    ]
    base = alt.Chart(frame).encode(x=x, y=y, color=colour)
    newest = frame[frame["commit"] == commits[-1]]
    layers = [
        base.mark_line(strokeWidth=2).encode(
            order="load:Q", strokeDash=alt.StrokeDash("commit:N").legend(None)
        ),
        base.mark_point(filled=True, size=70, opacity=1).encode(tooltip=tooltip),
        alt.Chart(newest)
        .mark_text(align="left", dx=8, dy=12, fontSize=12, color=palette.muted)
        .encode(x=x, y=y, text=alt.Text("load:Q", format="~r"), tooltip=tooltip),
    ]
    if latency and limit is not None and 2 * frame["latency value"].max() >= limit:
        layers.append(
            alt.Chart(pd.DataFrame([{"latency value": limit}]))
            .mark_rule(color=palette.worse, strokeDash=[8, 4], strokeWidth=1.5)
            .encode(y="latency value:Q")
        )
    if len(best):
        layers.append(
            alt.Chart(best)
            .mark_point(shape="diamond", size=420, strokeWidth=2.5, filled=False)
            .encode(x=x, y=y, color=colour, tooltip=tooltip)
        )
    return finish(alt.layer(*layers).properties(height=440), palette)
