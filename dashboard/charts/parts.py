"""What the charts share: colours of a change, captions of a row, the looks of the whole."""

from __future__ import annotations

import math
from typing import Any

import altair as alt
import pandas as pd

from dashboard.palette import Palette

__all__ = [
    "AXES",
    "ROW",
    "SIGNED",
    "captions",
    "finish",
    "is_finite",
    "nothing_measured",
    "sense_colour",
]

ROW = 40  # height of one row of a bar or forest chart: its name above, its mark below
AXES = 90  # what axis, title and legend take of a bar or forest chart's height
SIGNED = "datum.value == 0 ? '0' : format(datum.value, '+,.4~r')"


def is_finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def captions(
    base: alt.Chart, y: alt.Y, palette: Palette, tooltip: list[alt.Tooltip]
) -> list[alt.Chart]:
    text: dict[str, Any] = {"align": "left", "baseline": "middle", "yOffset": -7, "fontSize": 13}
    # A caption wider than the plot would make Vega shrink the plot to nothing.
    text["limit"] = alt.ExprRef("width - 4")
    place = {"y": y, "x": alt.value(2), "text": "caption:N"}
    halo = base.mark_text(stroke=palette.background, strokeWidth=5, **text).encode(**place)
    words = base.mark_text(color=palette.text, **text).encode(tooltip=tooltip, **place)
    return [halo, words]


def sense_colour(palette: Palette) -> alt.Color:
    return (
        alt.Color("verdict:N")
        .scale(
            domain=["worse", "better", "changed"],
            range=[palette.worse, palette.better, palette.neutral],
        )
        .legend(None)
    )


def nothing_measured(palette: Palette) -> alt.Chart:
    return (
        alt.Chart(pd.DataFrame([{"note": "nothing measured"}]))
        .mark_text(color=palette.muted, fontSize=14)
        .encode(text="note:N")
    )


def finish(chart: alt.LayerChart, palette: Palette) -> alt.LayerChart:
    return (
        # First, since it replaces the whole configuration.
        chart.configure(
            background="transparent", padding={"left": 2, "right": 8, "top": 8, "bottom": 2}
        )
        .configure_view(stroke=None)
        .configure_legend(labelColor=palette.text, labelFontSize=13, titleColor=palette.muted)
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
