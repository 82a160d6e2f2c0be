"""Distributions of single requests, a line a side."""

from __future__ import annotations

import altair as alt
import pandas as pd

from dashboard.charts.parts import finish
from dashboard.palette import Palette

__all__ = ["position_chart", "tail_chart"]


_SHARES = [1, 0.5, 0.1, 0.01, 1e-3, 1e-4, 1e-5, 1e-6]  # with a tick


def tail_chart(frame: pd.DataFrame, palette: Palette, *, title: str) -> alt.LayerChart:
    """How large a share is slower than each value; the share is logarithmic, so that tails show.

    Args:
        frame: As `distributions.tail_frame` makes it; at least one row.
        palette: Colours for the background it will stand on.
        title: Of the measure.
    """
    unit = frame["unit"].iloc[0]
    x = alt.X("value:Q").scale(zero=False).axis(tickCount=6).title(f"{title} ({unit})")
    y = (
        alt.Y("slower:Q")
        .scale(type="log", domain=[frame["slower"].min(), 1.0], nice=False)
        .axis(values=_SHARES, labelExpr="format(100 * datum.value, '~r') + ' %'")
        .title("slower than this")
    )
    lines = (
        alt.Chart(frame)
        .mark_line(interpolate="step-before", strokeWidth=2)
        .encode(x=x, y=y, color=_side(frame, palette), strokeDash=_dash(frame))
        .encode(
            tooltip=[
                "side:N",
                alt.Tooltip("value:Q", format=",.4~r"),
                alt.Tooltip("slower:Q", format=".2%"),
            ]
        )
    )
    return finish(alt.layer(lines).properties(height=260), palette)


def position_chart(frame: pd.DataFrame, palette: Palette) -> alt.LayerChart:
    """Median time between tokens by the position in the output.

    Args:
        frame: As `distributions.position_frame` makes it; at least one row.
        palette: Colours for the background it will stand on.
    """
    unit = frame["unit"].iloc[0]
    lines = (
        alt.Chart(frame)
        .mark_line(strokeWidth=2)
        .encode(
            x=alt.X("position:Q").scale(zero=False).title("position of the token in the output"),
            y=alt.Y("value:Q").scale(zero=False).axis(tickCount=5).title(f"median ITL ({unit})"),
            color=_side(frame, palette),
            strokeDash=_dash(frame),
            tooltip=["side:N", "position:Q", alt.Tooltip("value:Q", format=",.4~r")],
        )
    )
    return finish(alt.layer(lines).properties(height=220), palette)


def _side(frame: pd.DataFrame, palette: Palette) -> alt.Color:
    sides = list(dict.fromkeys(frame["side"]))
    colours = [palette.neutral, palette.value, *palette.lines[1:]][: len(sides)]
    return (
        alt.Color("side:N")
        .scale(domain=sides, range=colours)
        .legend(orient="top", title=None, labelLimit=320)
    )


def _dash(frame: pd.DataFrame) -> alt.StrokeDash:
    return alt.StrokeDash("side:N").scale(domain=list(dict.fromkeys(frame["side"]))).legend(None)
