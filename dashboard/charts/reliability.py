"""The A/A record and the control workload over time."""

from __future__ import annotations

import altair as alt
import pandas as pd

from dashboard.charts.parts import SIGNED, finish
from dashboard.palette import Palette

__all__ = ["control_chart", "record_chart"]


def record_chart(frame: pd.DataFrame, palette: Palette) -> alt.LayerChart:
    """The upper bound on the rate of false alarms after each day, a line a machine.

    Args:
        frame: As `reliability.record_frame` makes it; at least one row.
        palette: Colours for the background it will stand on.
    """
    base = alt.Chart(frame).encode(
        x=alt.X("when:T").title(None),
        y=alt.Y("percent:Q").scale(domainMin=0).title("bound on the rate (%)"),
        detail="machine:N",
        tooltip=["machine:N", "when:T", "A/A gates:Q", "false alarms:Q", "percent:Q"],
    )
    line = base.mark_line(color=palette.value, opacity=0.5)
    dots = base.mark_point(filled=True, size=70, opacity=1, color=palette.value).encode(
        shape=alt.Shape("machine:N").legend(orient="top", title=None)
    )
    return finish(alt.layer(line, dots).properties(height=200), palette)


def control_chart(frame: pd.DataFrame, palette: Palette) -> alt.LayerChart:
    """How much slower than usual the control ran in each launch of one machine, in percent.

    Args:
        frame: As `reliability.control_frame` makes it; at least one row.
        palette: Colours for the background it will stand on.
    """
    reach = max(frame["percent"].abs().max() * 1.2, 1.0)
    base = alt.Chart(frame)
    zero = base.mark_rule(color=palette.muted, aria=False).encode(y=alt.datum(0))
    dots = base.mark_circle(color=palette.value, size=18, opacity=0.8).encode(
        x=alt.X("launch:Q").title("launch, oldest first").scale(nice=False),
        y=alt.Y("percent:Q")
        .scale(domain=[-reach, reach])
        .axis(labelExpr=SIGNED, tickCount=5)
        .title("slower than usual (%)"),
        tooltip=["machine:N", "launch:Q", alt.Tooltip("percent:Q", format="+.2f")],
    )
    return finish(alt.layer(zero, dots).properties(height=215), palette)
