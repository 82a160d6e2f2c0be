"""One launch: its requests, phases and telemetry on one time axis; its phases on the roofline."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import altair as alt
import pandas as pd

from dashboard.charts.parts import finish
from dashboard.palette import Palette
from dashboard.units import format_value
from dashboard.utilization import Panel

__all__ = ["panel_chart", "phase_chart", "request_chart", "roofline_chart"]

Window = tuple[float, float]  # first and last second of the common time axis
_PHASES = ("first token", "output", "whole reply")
_LABELS = 56  # pixels of the labels of every y axis, so that the plots stand under each other


def request_chart(frame: pd.DataFrame, window: Window, palette: Palette) -> alt.LayerChart:
    """A bar a request from its submission to its last token, coloured by phase.

    Args:
        frame: As `utilization.request_frame` makes it; at least one row.
        window: The time axis.
        palette: Colours for the background it will stand on.
    """
    last = frame["request"].max()
    bars = (
        alt.Chart(frame)
        .mark_bar(height=max(1.5, min(8.0, 150 / last)), clip=True)
        .encode(
            x=_time(window, labels=False, field="start"),
            x2="stop:Q",
            y=_value("request", "requests", domain=[last + 0.7, 0.3]),
            color=_phase_colour(palette),
            tooltip=["request:Q", "phase:N", "took:N", "tokens:Q"],
        )
    )
    return finish(alt.layer(bars).properties(height=160), palette)


def phase_chart(frame: pd.DataFrame, window: Window, palette: Palette) -> alt.LayerChart:
    """How many requests are in each phase, over time.

    Args:
        frame: As `utilization.phase_frame` makes it; at least one row.
        window: The time axis.
        palette: Colours for the background it will stand on.
    """
    areas = (
        alt.Chart(frame)
        .mark_area(interpolate="step-after", opacity=0.85, clip=True)
        .encode(
            x=_time(window, labels=False),
            y=_value("requests", "in flight", zero=True).stack("zero"),
            color=_phase_colour(palette, legend=False),
            tooltip=["phase:N", "requests:Q", alt.Tooltip("time:Q", format=".2f")],
        )
    )
    return finish(alt.layer(areas).properties(height=90), palette)


def panel_chart(
    frame: pd.DataFrame, panel: Panel, window: Window, palette: Palette, *, last: bool
) -> alt.LayerChart:
    """The telemetry of one panel over time; a line breaks where the device said nothing.

    Args:
        frame: As `utilization.panel_frame` makes it; at least one row.
        panel: What is drawn.
        window: The time axis.
        palette: Colours for the background it will stand on.
        last: Whether this is the lowest chart, which carries the axis' labels.
    """
    names = list(dict.fromkeys(frame["line"]))
    colour = (
        alt.Color("line:N")
        .scale(
            domain=names, range=[palette.lines[i % len(palette.lines)] for i in range(len(names))]
        )
        .legend(None if len(names) == 1 else alt.Legend(orient="top", title=None, labelLimit=240))
    )
    share = panel.unit == "%"
    lines = (
        alt.Chart(frame)
        .mark_line(strokeWidth=1.6, invalid="break-paths-show-domains", clip=True)
        .encode(
            x=_time(window, labels=last),
            y=_value(
                "value", f"{panel.title} ({panel.unit})", zero=share, top=100 if share else None
            ),
            color=colour,
            strokeDash=alt.StrokeDash("line:N").scale(domain=names).legend(None),
            tooltip=[
                "line:N",
                alt.Tooltip("value:Q", format=",.4~r"),
                alt.Tooltip("time:Q", format=".2f"),
            ],
        )
    )
    return finish(
        alt.layer(lines).properties(height=(150 if len(names) > 1 else 125) + (45 if last else 0)),
        palette,
    )


def roofline_chart(
    frame: pd.DataFrame, ceiling: Mapping[str, float], palette: Palette
) -> alt.LayerChart:
    """Phases and kernels under the two ceilings of the device, both axes logarithmic.

    Args:
        frame: As `utilization.roofline_frame` makes it; at least one row.
        ceiling: "bandwidth", bytes/s, and "flops", FLOP/s.
        palette: Colours for the background it will stand on.
    """
    ridge = ceiling["flops"] / ceiling["bandwidth"]
    low = min(frame["intensity"].min(), ridge) / 3
    high = max(frame["intensity"].max(), ridge) * 3
    roof = pd.DataFrame(
        [
            {"intensity": x, "rate": min(ceiling["flops"], x * ceiling["bandwidth"])}
            for x in (low, ridge, high)
        ]
    )
    floor = min(frame["rate"].min(), low * ceiling["bandwidth"]) / 2
    x = (
        alt.X("intensity:Q")
        .scale(type="log", domain=[low, high], nice=False)
        .axis(grid=False, tickCount=6, format="~s")
        .title("intensity (FLOP per byte)")
    )
    y = (
        alt.Y("rate:Q")
        .scale(type="log", domain=[floor, ceiling["flops"] * 2], nice=False)
        .axis(tickCount=5, format="~s")
        .title("rate (FLOP/s)")
    )
    tooltip = ["name:N", "MFU:N", "MBU:N", "seconds:N", "intensity:Q", "rate:Q"]
    edges = (math.log(low), math.log(high))
    names = _names(frame, edges, math.log(2 * ceiling["flops"] / floor))
    groups = ["prefill", "decode", "kernel"]
    notes = pd.DataFrame(
        [
            {
                "intensity": math.sqrt(low * ridge),
                "rate": math.sqrt(low * ridge) * ceiling["bandwidth"],
                "note": f"{format_value(ceiling['bandwidth'], 'B/s')} bandwidth",
            },
            {
                "intensity": math.sqrt(ridge * high),
                "rate": ceiling["flops"],
                "note": f"{format_value(ceiling['flops'], 'FLOP/s')} arithmetic",
            },
        ]
    )
    layers: list[Any] = [
        alt.Chart(roof).mark_line(color=palette.level, strokeWidth=2).encode(x=x, y=y),
        alt.Chart(notes)
        .mark_text(color=palette.muted, dy=-9, fontSize=12, align="right")
        .encode(x=x, y=y, text="note:N"),
        alt.Chart(frame)
        .mark_point(filled=True, size=130, opacity=1)
        .encode(
            x=x,
            y=y,
            color=alt.Color("what:N")
            .scale(domain=groups, range=[palette.lines[1], palette.lines[0], palette.lines[2]])
            .legend(None),
            shape=alt.Shape("what:N")
            .scale(domain=groups, range=["circle", "square", "diamond"])
            .legend(None),
            tooltip=tooltip,
        ),
        *(
            alt.Chart(names[names["side"] == side])
            .mark_text(align=align, dx=dx, dy=4, fontSize=12, color=palette.text)
            .encode(x=x, y=y, text="name:N", tooltip=tooltip)
            for side, align, dx in (("right", "left", 10), ("left", "right", -10))
        ),
    ]
    return finish(alt.layer(*layers).properties(height=320), palette)


def _names(frame: pd.DataFrame, edges: tuple[float, float], height: float) -> pd.DataFrame:
    """The rows whose name has room beside its mark, with the "side"; a tooltip has the others'.

    Args:
        frame: With "intensity", "rate" and "name".
        edges: Of the plot to the left and right, in units of the logarithm; likewise its `height`.
    """
    width = edges[1] - edges[0]
    mark = 0.006 * width
    places = [(math.log(row.intensity), math.log(row.rate)) for row in frame.itertuples()]
    taken = [(x - mark, x + mark, y) for x, y in places]  # from, to, at which height
    sides = []
    for name, (x, y) in zip(frame["name"], places, strict=True):
        reach = width * 0.008 * (len(name) + 3)
        spans = {"right": (x + 2 * mark, x + reach), "left": (x - reach, x - 2 * mark)}
        free = [
            side
            for side, (start, stop) in spans.items()
            if edges[0] < start
            and stop < edges[1]
            and all(stop < a or start > b or abs(y - at) > height * 0.06 for a, b, at in taken)
        ]
        sides.append(free[0] if free else None)
        if free:
            taken.append((*spans[free[0]], y))
    return frame.assign(side=sides)


def _time(window: Window, *, labels: bool, field: str = "time") -> alt.X:
    axis = alt.Axis(labels=labels, ticks=labels, grid=True)
    x = alt.X(f"{field}:Q").scale(domain=list(window), nice=False).axis(axis)
    return x.title("seconds after the launch began" if labels else None)


def _value(
    field: str,
    title: str,
    *,
    zero: bool = False,
    top: float | None = None,
    domain: list[float] | None = None,
) -> alt.Y:
    limits: dict[str, Any] = {} if top is None else {"domain": [0, top]}
    if domain is not None:
        limits = {"domain": domain, "nice": False}
    axis = alt.Axis(tickCount=4, minExtent=_LABELS, maxExtent=_LABELS)
    return alt.Y(f"{field}:Q").scale(zero=zero, **limits).axis(axis).title(title)


def _phase_colour(palette: Palette, *, legend: bool = True) -> alt.Color:
    colours = [palette.lines[1], palette.lines[0], palette.lines[2]]
    colour = alt.Color("phase:N").scale(domain=list(_PHASES), range=colours)
    shown = alt.Legend(orient="top", title=None, values=list(_PHASES[:2])) if legend else None
    return colour.legend(shown)
