"""A call tree as boxes: as wide as its time a step, one level a row, coloured by what changed."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import pandas as pd

from dashboard.charts.parts import finish
from dashboard.palette import Palette
from tracker.explain.explanation import Frame

__all__ = ["icicle_chart"]

_ROW = 22
_LABELLED = 0.06  # of the width: narrower boxes have no room for a name
_LEVELS = 14  # deeper ones are in the trace


def icicle_chart(frames: Sequence[Frame], palette: Palette) -> alt.LayerChart | None:
    """Return the icicle of a commit's steps.

    Args:
        frames: Of the head; times in seconds a step.
        palette: Colours for the background it will stand on.

    Returns:
        None where there is no box.
    """
    shown = [frame for frame in frames if len(frame.path) <= _LEVELS]
    width = sum(frame.seconds for frame in shown if len(frame.path) == 1)
    if not shown or width <= 0:
        return None
    reach = max(max(abs(frame.change) for frame in shown) / width * 100, 1.0)
    rows = [
        {
            "name": frame.path[-1],
            "path": " › ".join(frame.path),
            "level": len(frame.path) - 1,
            "bottom": len(frame.path),
            "start": frame.start * 1e6,
            "end": (frame.start + frame.seconds) * 1e6,
            "percent": 100 * frame.change / width,
            "time": f"{frame.seconds * 1e6:.4g} µs",
            "change": f"{frame.change * 1e6:+.4g} µs",
            "label": frame.path[-1] if frame.seconds > _LABELLED * width else "",
            "middle": len(frame.path) - 0.5,
        }
        for frame in shown
    ]
    levels = max(row["bottom"] for row in rows)
    base = alt.Chart(pd.DataFrame(rows))
    tooltip = [
        alt.Tooltip("path:N", title="call"),
        alt.Tooltip("time:N", title="a step"),
        alt.Tooltip("change:N", title="head − base"),
    ]
    x = alt.X("start:Q").title("time of a step (µs)").scale(domain=[0, width * 1e6], nice=False)
    y = alt.Y("level:Q").axis(None).scale(domain=[levels, 0], nice=False)
    colour = (
        alt.Color("percent:Q")
        .title("change, % of a step")
        .scale(
            domain=[-reach, 0, reach],
            range=[palette.better, palette.grid, palette.worse],
            clamp=True,
        )
    )
    boxes = base.mark_rect(stroke=palette.background, strokeWidth=1).encode(
        x=x, x2="end:Q", y=y, y2="bottom:Q", color=colour, tooltip=tooltip
    )
    names = base.mark_text(align="left", dx=4, color=palette.text, fontSize=12, limit=220).encode(
        x="start:Q", y=alt.Y("middle:Q"), text="label:N", tooltip=tooltip
    )
    return finish(alt.layer(boxes, names).properties(height=_ROW * levels + 70), palette)
