"""One series in full, or every metric of its scenario side by side."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any
from urllib.parse import urlencode

import pandas as pd
import streamlit as st

from dashboard import charts, data, figure, scope, tables, url_state
from dashboard.cards import series_card
from dashboard.commits import commit_markdown
from dashboard.groups import (
    GROUPS,
    cold_and_warm,
    label,
    metric_group,
    scenario,
    short_name,
    siblings,
)
from dashboard.headline import headline
from dashboard.limits import limit_of
from dashboard.markup import plain
from dashboard.palette import palette_for
from dashboard.units import counted, direction, format_effect, format_value
from tracker.domain import SeriesHistory, SeriesInfo
from tracker.errors import UsageError
from tracker.report.numbers import drift_text

LIMIT = 300  # series in the list; the search narrows it
ANY = "all metrics"
WINDOWS = {"100": 100, "300": 300, "1000": 1000}
WINDOW = "300"
ONE, WHOLE = "one series", "whole scenario"
SMALL = 12  # charts of a scenario
MOST_OVERLAID = 7


def draw() -> None:
    """Draw the page."""
    here = scope.choose("Series")
    listed, search = _filters(here)
    chosen = _chosen(here, listed)
    if chosen is None:
        what = f"No series matches “{search}”" if search else "No series here"
        st.info(f"{what}. Clear the search or choose another machine.", icon=":material/search:")
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        view = _switch("View", [ONE, WHOLE], "view")
        window = WINDOWS[_switch("Newest commits", list(WINDOWS), "commits", default=WINDOW)]
        if view == ONE:
            look = charts.Look(
                by=_switch("Axis", ["commit", "date"], "by"),
                values=_switch("Values", ["unit", "log", "relative"], "values"),
            )
    if view == WHOLE:
        _scenario(here, chosen, window)
        return
    others = _overlaid(chosen, listed)
    beside = data.series_list(here.project.name, chosen.machine, scenario(chosen), limit=LIMIT)
    states = [one for one in cold_and_warm(chosen, beside) if one not in others]
    if states and st.toggle("Cold and warm", key="states", bind="query-params"):
        others += states
    if others:
        _overlay([chosen, *others], window, look)
    else:
        _one(here, chosen, window, look)


def _switch(label: str, options: list[str], key: str, *, default: str | None = None) -> Any:
    return st.segmented_control(
        label, options, default=default or options[0], key=key, bind="query-params", required=True
    )


def _filters(here: scope.Scope) -> tuple[list[SeriesInfo], str]:
    left, right = st.columns([3, 2])
    with left:
        search: str = st.text_input(
            "Search", key="search", bind="query-params",
            placeholder="part of a name, then Enter: ttft, decode, …",
        ).strip()  # fmt: skip
    fitting = data.series_list(here.project.name, here.machine, search, limit=LIMIT)
    present = {metric_group(series) for series in fitting}
    with right:
        group = st.selectbox(
            "Metric",
            [ANY, *filter(present.__contains__, GROUPS)],
            key="metric",
            bind="query-params",
        )
    if len(fitting) == LIMIT:
        st.caption(f"The first {LIMIT:,} series are listed; search to reach the others.")
    return [s for s in fitting if group == ANY or metric_group(s) == group], search


def _chosen(here: scope.Scope, listed: list[SeriesInfo]) -> SeriesInfo | None:
    known = {str(s.id): s for s in listed}
    wanted = url_state.read("series")
    if (
        wanted
        and wanted not in known
        and not (url_state.read("search") or url_state.read("metric"))
    ):
        try:
            linked = data.series(int(wanted))
        except (ValueError, UsageError):
            st.warning(f"This store has no series {wanted!r}; here is another.")
        else:
            if linked.project == here.project.name:
                known = {wanted: linked, **known}
    if not known:
        return None
    current = wanted if wanted in known else None
    if current is None:
        # A constant, or zeros, say nothing: begin with what a team watches first.
        by_rule = next(iter(headline(known.values()).values()), None)
        current = str(by_rule.id) if by_rule is not None else next(iter(known))
    url_state.write("series", current)
    names = _names(known.values())
    picked = url_state.select(
        f"Series ({len(known):,})",
        list(known),
        name="series",
        current=current,
        show=lambda key: names[int(key)],
    )
    return known[picked]


def _names(listed: Collection[SeriesInfo]) -> dict[int, str]:
    """What each series is called among the others, by its number."""
    several = len({series.machine for series in listed}) > 1
    return {
        s.id: f"{label(s)} · {f'{s.machine}, ' if several else ''}{s.environment} · {s.version[:6]}"
        for s in listed
    }


def _overlaid(chosen: SeriesInfo, listed: Sequence[SeriesInfo]) -> list[SeriesInfo]:
    """The series that are drawn over the chosen one."""
    known = {str(series.id): series for series in listed if series.id != chosen.id}
    names = _names((chosen, *known.values()))
    picked = url_state.several(
        "Overlay",
        list(known),
        name="with",
        show=lambda key: names[int(key)],
        most=MOST_OVERLAID,
        placeholder="other series in the same chart",
    )
    return [known[key] for key in picked]


def _overlay(shown: Sequence[SeriesInfo], window: int, look: charts.Look) -> None:
    names = _names(shown)
    histories = [
        (names[series.id], history)
        for series in shown
        if (history := data.history(series.id, limit=window)).points
    ]
    if not histories:
        st.info("None of these series has results.")
        return
    if len({series.unit for series in shown}) > 1 and look.values != "relative":
        st.caption("The units differ: drawn in percent of the first values shown.")
    chart = charts.overlay_chart(histories, palette_for(st.context.theme.type), look=look)
    rows = pd.concat(
        tables.history_table(history).assign(series=name) for name, history in histories
    )
    figure.show(chart, key="overlay", name=f"{short_name(shown[0])}-overlay", rows=rows)
    st.caption("Drag to move along the commits, turn the wheel to zoom, double-click to go back.")


def _one(here: scope.Scope, series: SeriesInfo, window: int, look: charts.Look) -> None:
    history = data.history(series.id, limit=window)
    st.subheader(plain(label(series)), anchor=False)
    # "unit" is what asv writes for a track_ benchmark that names none.
    unit = f"unit {series.unit}" if series.unit not in ("", "unit") else "no unit"
    limit = limit_of(series, data.gates(here.project.name))
    with st.container(horizontal=True, gap="small"):
        st.badge(direction(series.better), icon=":material/swap_vert:")
        st.badge(metric_group(series), color="violet")
        st.badge(plain(f"{series.kind}, {unit}"), color="gray")
        if limit is not None:
            st.badge(f"limit {format_value(limit, series.unit)}", color="gray")
        st.badge(plain(series.machine), color="gray", icon=":material/computer:")
        st.badge(plain(series.environment), color="gray")
    if not history.points:
        st.info("This series has no results.")
        return
    single = st.toggle("Single launches", key="launches", bind="query-params")
    table = tables.history_table(history, commit_url=here.project.commit_url)
    event = figure.show(
        charts.history_chart(
            history,
            palette_for(st.context.theme.type),
            limit=limit,
            look=look,
            launches=tables.attempts_frame(data.attempts(series.id)) if single else None,
            pick=True,
        ),
        key="history",
        name=short_name(series),
        rows=table,
        on_select="rerun",
        selection_mode="pick",
    )
    _point(here, history, event)
    _legend(history)
    _shifts(here, history)
    numbers = {
        name: st.column_config.NumberColumn(format="%.4g")
        for name in table
        if name.startswith(("value", "low", "high"))
    }
    st.dataframe(
        table,
        hide_index=True,
        column_config=numbers
        | {
            "link": st.column_config.LinkColumn("open", display_text="open commit"),
            "subject": st.column_config.TextColumn(width="medium"),
        },
    )


def _point(here: scope.Scope, history: SeriesHistory, event: Any) -> None:
    """The runs behind the point that was clicked, or that the URL names."""
    picked = event.selection.get("pick") if event is not None else None
    if picked:
        url_state.write("at", picked[0]["commit"])
    at = url_state.read("at")
    point = next((p for p in history.points if at and p.revision.commit.startswith(at)), None)
    if point is None:
        return
    commit, series = point.revision.commit, history.series
    made = data.attempts(series.id, commit=commit)
    launches = [
        launch
        for launch in data.newest_launches(here.project.name, series.machine, commits=(commit,))
        if launch.benchmark == scenario(series)
    ]
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(
                f"**{commit_markdown(here, commit)}** {plain(point.revision.subject or '')} "
                f":small[{point.revision.committed_at:%Y-%m-%d %H:%M} UTC]"
            )
            st.page_link(
                "app_pages/finding.py", label="finding", query_params=here.link(commit=commit)
            )
            for launch in launches[:1]:
                st.page_link(
                    "app_pages/utilization.py",
                    label="launch artifact",
                    query_params=here.link(commit=commit, suite=launch.benchmark, launch=launch.id),
                )
            st.button("Close", on_click=url_state.write, args=("at", None), type="tertiary")
        frame = tables.attempts_table(made, charts.history_scale(history))
        st.dataframe(frame, hide_index=True, key="attempts")
        prints = {attempt.fingerprint for attempt in made if attempt.fingerprint}
        for facts in prints:
            st.caption(plain(", ".join(f"{name} {value}" for name, value in facts)))
        if not prints:
            st.caption("Nothing is known of the environment of these runs.")


def _legend(history: SeriesHistory) -> None:
    parts = [
        "dots: the median of the attempts at a commit (click one for its runs; drag and turn the wheel to zoom); "
        "bars: the interval of a single attempt"
    ]
    if history.shifts:
        parts.append("dark lines: levels; triangles: where a level began")
    if history.fingerprint_changes:
        parts.append("dashed violet and the tinted ground: another environment, a new segment")
    if any(p.status != "ok" for p in history.points):
        parts.append("orange crosses: failed, skipped or timed out")
    st.caption("; ".join(parts).capitalize() + ".")


def _shifts(here: scope.Scope, history: SeriesHistory) -> None:
    scale = charts.history_scale(history)
    lines = []
    for shift in reversed(history.shifts):
        colour = {True: "red", False: "green", None: "gray"}[shift.worse]
        commit = shift.revision.commit
        name = commit_markdown(here, commit)
        lines.append(
            f"- :{colour}[**{format_effect(shift.effect)}**] at {name}, "
            f"{shift.revision.committed_at:%Y-%m-%d}: "
            f"{scale.change(shift.before, shift.after)}"
            f"{drift_text(shift.drift_commits, shift.per_100_commits)}"
            f" · [finding](finding?{urlencode(here.link(commit=commit))})"
        )
    for change in reversed(history.fingerprint_changes):
        texts = [f"{n} {b or 'unknown'} → {a or 'unknown'}" for n, b, a in change.changed]
        lines.append(
            f"- :violet[environment] at `{change.revision.commit[:10]}`, "
            f"{change.revision.committed_at:%Y-%m-%d}: "
            f"{plain(', '.join(texts[:6]))}{' …' if len(texts) > 6 else ''}"
        )
    if lines:
        with st.expander(
            f"{counted(len(history.shifts), 'level shift')}, "
            f"{counted(len(history.fingerprint_changes), 'environment change')}",
            expanded=len(lines) <= 6,
        ):
            st.markdown("\n".join(lines))


def _scenario(here: scope.Scope, series: SeriesInfo, window: int) -> None:
    st.subheader(plain(scenario(series)), anchor=False)
    beside = data.series_list(here.project.name, series.machine, scenario(series), limit=LIMIT)
    grouped = siblings(series, (*beside, series))
    flat = [(group, member) for group, members in grouped.items() for member in members]
    columns = st.columns(3)
    for i, (group, member) in enumerate(flat[:SMALL]):
        with columns[i % 3]:
            series_card(here, member, window=window, note=group)
    if len(flat) > SMALL:
        st.caption(f"{SMALL} of {len(flat)} metrics are drawn; choose one of the others above.")


draw()
