"""Two commits side by side, each difference beside its noise; or several machines, engines and releases."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from dashboard import charts, data, figure, scope, tables, url_state
from dashboard.arms import Arm, Place, arms_frame, arms_table, places_of
from dashboard.commits import choose_two
from dashboard.distributions import (
    MEASURES,
    latencies,
    position_frame,
    quantile_frame,
    tail_frame,
)
from dashboard.markup import Tile, tiles_html
from dashboard.palette import palette_for
from tracker.domain import LaunchInfo, RequestTimes

TWO, MANY = "two commits", "several places"
LIMIT = 1000  # series of a project among which places are looked for
MOST = 6  # arms
LAUNCHES = 20  # whose requests are pooled, a side


def draw() -> None:
    """Draw the page."""
    here = scope.choose("Compare")
    ways = st.segmented_control(
        "Compare", [TWO, MANY], default=TWO, key="ways", bind="query-params", required=True
    )
    if ways == MANY:
        _arms(here)
        return
    revisions = data.newest_revisions(here.project.name, here.machine)
    if not revisions:
        st.info("No commit was measured on this machine.", icon=":material/compare_arrows:")
        return
    base, head = choose_two(here, revisions)
    if base == head:
        st.info("Base and head are the same commit: choose two.", icon=":material/compare_arrows:")
        return
    _result(here, base, head)


def _result(here: scope.Scope, base: str, head: str) -> None:
    rows = sorted(data.comparison(here.project.name, base, head, here.machine), key=tables.sort_key)
    both = [r for r in rows if r.base is not None and r.head is not None]
    if not both:
        st.info(
            "Nothing to compare: no series was measured at both commits. Measure the missing one "
            "with `tracker run`, or choose a neighbour that has results.",
            icon=":material/compare_arrows:",
        )
        if rows:
            _table(tables.compare_frame(rows), "Results at one of the two")
        return
    frame = tables.compare_frame(rows)
    beyond = [r for r in both if r.noise == "beyond"]
    senses = [tables.verdict_of(r.effect, r.series.better) for r in beyond]
    noise = [r.noise for r in both]
    palette = palette_for(st.context.theme.type)
    st.html(
        tiles_html(
            [
                Tile(
                    "Worse, beyond noise",
                    str(senses.count("worse")),
                    colour=palette.worse if "worse" in senses else "",
                ),
                Tile(
                    "Better, beyond noise",
                    str(senses.count("better")),
                    colour=palette.better if "better" in senses else "",
                ),
                Tile("Within noise", str(noise.count("within"))),
                Tile(
                    "Noise unknown", str(noise.count("unknown")), "too few launches of one commit"
                ),
                Tile("Measured at both", str(len(both)), f"{len(rows) - len(both)} at one only"),
            ]
        )
    )
    st.markdown(
        ":small[Beyond noise: launches of one commit hardly ever differ as much (a chance of 1 % for "
        "any metric here). A verdict on both commits measured in turn comes from "
        f"`tracker gate {base[:10]} {head[:10]}`.]"
    )
    chart = charts.changes_chart(both, palette)
    if chart is not None:
        st.subheader("Largest changes, worst first", anchor=False)
        name = f"changes-{base[:10]}-{head[:10]}"
        figure.show(chart, key="changes", name=name, rows=frame)
    _requests(here, base, head)
    _table(frame, "All series")


def _requests(here: scope.Scope, base: str, head: str) -> None:
    """The distributions of single requests, where both commits have launches with their files."""
    launches = data.newest_launches(here.project.name, here.machine, commits=(base, head))
    places = list(dict.fromkeys((one.benchmark, one.machine) for one in launches if one.path))
    by_place = {
        " · ".join(place): sides
        for place in places
        if all((sides := _sides(launches, place, base, head)).values())
    }
    if not by_place:
        return
    st.subheader("Requests", anchor=False)
    names = list(by_place)
    picked = names[0]
    if len(names) > 1:
        picked = st.selectbox("Scenario", names, key="requests", bind="query-params")
    sides = by_place[picked]
    palette = palette_for(st.context.theme.type)
    measures = {
        measure: {side: latencies(requests, measure) for side, requests in sides.items()}
        for measure in MEASURES
    }
    for column, (measure, values) in zip(st.columns(2), measures.items(), strict=True):
        frame = tail_frame(values)
        if not frame.empty:
            with column:
                figure.show(
                    charts.tail_chart(frame, palette, title=measure),
                    key=f"tail:{measure}", name=f"{measure}-{picked}", rows=frame,
                )  # fmt: skip
    table = quantile_frame(measures)
    st.dataframe(table, hide_index=True, key="quantiles")
    positions = position_frame(sides)
    if not positions.empty:
        figure.show(
            charts.position_chart(positions, palette),
            key="positions", name=f"itl-by-position-{picked}", rows=positions,
        )  # fmt: skip
    st.caption(
        "Every request of the stored launches of both commits. Requests of one launch are not independent of each "
        "other: this shows where a difference sits, and is no verdict."
    )


def _sides(
    launches: Sequence[LaunchInfo], place: tuple[str, str], base: str, head: str
) -> dict[str, list[RequestTimes]]:
    sides: dict[str, list[RequestTimes]] = {}
    for name, commit in (("base", base), ("head", head)):
        of_side = [
            one
            for one in launches
            if (one.benchmark, one.machine) == place and one.revision.commit == commit and one.path
        ]
        traces = [data.launch_trace(one.path, one.digest) for one in of_side[:LAUNCHES]]
        requests = [request for trace in traces if trace for request in trace.requests]
        sides[f"{name} {commit[:10]}"] = requests
    return sides


def _arms(here: scope.Scope) -> None:
    """Several places, each at its newest commit or at chosen ones, against the first."""
    listed = [
        series
        for project in data.projects()
        for series in data.series_list(project.name, None, None, limit=LIMIT)
    ]
    places = {place.key: place for place in places_of(listed)}
    own = [
        key
        for key, place in places.items()
        if any(s.project == here.project.name for s in place.series.values())
    ]
    order = [*own, *(key for key in places if key not in own)]
    chosen = url_state.several(
        "Places", order, name="places", show=lambda key: places[key].name, most=MOST,
        placeholder="scenario, machine and environment; the first is 100 %",
    )  # fmt: skip
    revisions = {r.commit: r for r in data.newest_revisions(here.project.name, None)}
    commits = url_state.several(
        "Commits", list(revisions), name="at", most=MOST,
        show=lambda c: " · ".join(filter(None, [c[:10], revisions[c].subject])),
        placeholder="of this project; else the newest that each was measured at",
    )  # fmt: skip
    if not chosen or len(chosen) * max(len(commits), 1) < 2:
        st.info(
            "Choose two places or more, or one place and two commits. Any project of this store may be "
            "among them: an imported history of another engine, say.",
            icon=":material/compare_arrows:",
        )
        return
    arms = [
        _arm(places[key], commit)
        for key in chosen
        for commit in (commits if commits and key in own else [None])
    ]
    frame = arms_frame(arms)
    if frame.empty:
        st.info(f"{arms[0].name} has no metric in common with the others.")
    else:
        chart = charts.arms_chart(frame, palette_for(st.context.theme.type), first=arms[0].name)
        figure.show(chart, key="arms", name="places", rows=frame)
        st.caption(
            "Differences of places are no regressions, and no colour says so here: other machines, other "
            "engines, or launches at other times. Metrics are matched by name and unit."
        )
    table = arms_table(arms)
    st.dataframe(table, hide_index=True, key="arms-table")


def _arm(place: Place, commit: str | None) -> Arm:
    if commit is None:
        values = {name: series.last_value for name, series in place.series.items()}
        return Arm(place.name, place, {n: v for n, v in values.items() if v is not None})
    series = next(iter(place.series.values()))
    rows = {row.series.id: row for row in data.comparison(series.project, commit, commit, None)}
    values = {name: rows[one.id].head for name, one in place.series.items() if one.id in rows}
    known = {name: value for name, value in values.items() if value is not None}
    return Arm(f"{place.name} · {commit[:10]}", place, known)


def _table(frame: pd.DataFrame, title: str) -> None:
    st.subheader(title, anchor=False)
    is_certain = frame["noise"].str.startswith("beyond")
    shown = frame.drop(columns=["percent"]).assign(verdict=frame["verdict"].where(is_certain, "–"))
    st.dataframe(shown, hide_index=True, key="compared")


draw()
