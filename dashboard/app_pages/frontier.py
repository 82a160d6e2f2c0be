"""Latency against throughput over the load, two commits overlaid."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard import charts, data, figure, scope
from dashboard.commits import choose_two
from dashboard.frontier import (
    LATENCY,
    Sweep,
    frontier_frame,
    highest_within,
    is_swept,
    limits_text,
    scale_of,
    sweeps,
)
from dashboard.limits import limit_of
from dashboard.markup import Tile, tiles_html
from dashboard.palette import palette_for
from dashboard.units import format_effect

LIMIT = 1000  # series looked at


def draw() -> None:
    """Draw the page."""
    here = scope.choose("Frontier")
    swept = [
        series
        for series in data.series_list(here.project.name, here.machine, None, limit=LIMIT)
        if is_swept(series)
    ]
    if not swept:
        st.info(
            "No sweep is stored here: one scenario measured at several loads. A suite makes one with a "
            "parameter `concurrency`; sweeps of vLLM, guidellm, AIPerf or llama-bench come with "
            "`tracker ingest`.",
            icon=":material/stacked_line_chart:",
        )
        return
    longest = data.history(max(swept, key=lambda series: series.num_points).id)
    base, head = choose_two(here, [point.revision for point in reversed(longest.points)])
    measured = sweeps(data.comparison(here.project.name, base, head, here.machine))
    if measured:
        _frontier(here, base, head, measured)
    else:
        st.info("Neither of these commits has a sweep.", icon=":material/stacked_line_chart:")


def _chosen(label: str, names: list[str], key: str) -> str:
    picked: str = st.selectbox(label, names, key=key, bind="query-params")
    return picked


def _frontier(here: scope.Scope, base: str, head: str, measured: list[Sweep]) -> None:
    by_name = {sweep.name: sweep for sweep in reversed(measured)}  # of equal names the longest
    sweep = by_name[_chosen("Sweep", list(by_name)[::-1], "sweep")]
    left, right = st.columns(2)
    latencies = sweep.metrics(*LATENCY)
    with left:
        latency = _chosen("Latency", latencies, "latency") if latencies else None
    with right:
        throughput = _chosen("Throughput", sweep.metrics("Throughput"), "throughput")
    gates = data.gates(here.project.name)
    commits = {"base": f"base {base[:10]}", "head": f"head {head[:10]}"}
    if base == head:
        commits = {"head": head[:10]}
    frame = frontier_frame(sweep, latency, throughput, gates, commits)
    if frame.empty:
        st.info(
            "Nothing at which both metrics were measured.", icon=":material/stacked_line_chart:"
        )
        return
    best = highest_within(frame)
    limits = limits_text(sweep, gates)
    palette = palette_for(st.context.theme.type)
    st.html(tiles_html(_tiles(sweep, frame, best, throughput, limits)))
    limit, upwards = None, None
    if latency is not None:
        scale = scale_of(sweep, latency)
        upwards = latency, scale.unit
        series = next(rows[latency].series for rows in sweep.points.values() if latency in rows)
        stated = limit_of(series, gates)
        limit = None if stated is None else scale(stated)
    chart = charts.frontier_chart(
        frame,
        best,
        palette,
        axis=sweep.axis,
        latency=upwards,
        throughput=(throughput, scale_of(sweep, throughput).unit),
        limit=limit,
    )
    figure.show(chart, key="frontier", name=f"frontier-{sweep.name}", rows=frame)
    st.caption(
        f"Right and down is better. Numbers: {sweep.axis} at the newer commit. Diamonds: the highest rate "
        + (f"within the limits ({limits})." if limits else "within the limits; none is known here.")
    )
    shown = frame.drop(columns=["latency value", "throughput value"], errors="ignore")
    shown = shown.rename(columns={"load": sweep.axis, "within": "within limits"})
    st.dataframe(shown, hide_index=True)


def _tiles(
    sweep: Sweep, frame: pd.DataFrame, best: pd.DataFrame, throughput: str, limits: str
) -> list[Tile]:
    tiles = []
    rates = []
    for commit in dict.fromkeys(frame["commit"]):
        rows = best[best["commit"] == commit]
        if rows.empty:
            value = "none" if limits else "not known"
            note = "no load keeps to every limit" if limits else "no gate states a limit"
        else:
            row = rows.iloc[0]
            rates.append(row["throughput value"])
            value, note = row[throughput], f"at {sweep.axis} {row['load']:g}"
        tiles.append(Tile(f"Highest rate within limits, {commit}", value, note))
    if len(rates) == 2:
        tiles.append(
            Tile("Change of that rate", format_effect(rates[1] / rates[0] - 1), "head against base")
        )
    return tiles


draw()
