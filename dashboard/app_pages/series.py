"""One series in full, or every metric of its scenario side by side."""

from __future__ import annotations

from urllib.parse import urlencode

import streamlit as st

from dashboard import charts, data, scope, tables, url_state
from dashboard.cards import series_card
from dashboard.commits import commit_markdown
from dashboard.groups import GROUPS, label, metric_group, scenario, short_name, siblings
from dashboard.headline import headline
from dashboard.limits import limit_of
from dashboard.markup import plain
from dashboard.palette import palette_for
from dashboard.units import counted, direction, format_effect, format_value
from tracker.domain import SeriesHistory, SeriesInfo
from tracker.errors import UsageError
from tracker.report.numbers import drift_text

LIMIT = 1000  # series in the list; the search narrows it
ANY = "all metrics"
WINDOWS = {"100": 100, "300": 300, "1000": 1000}
WINDOW = "300"
ONE, WHOLE = "one series", "whole scenario"
SMALL = 12  # charts of a scenario


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
        view = url_state.switch("View", [ONE, WHOLE], name="view", default=ONE)
        window = url_state.switch("Newest commits", list(WINDOWS), name="commits", default=WINDOW)
    if view == ONE:
        _one(here, chosen, WINDOWS[window])
    else:
        _scenario(here, chosen, WINDOWS[window])


def _filters(here: scope.Scope) -> tuple[list[SeriesInfo], str]:
    left, right = st.columns([3, 2])
    with left:
        search = url_state.search_box(
            "Search", name="search", placeholder="part of a name, then Enter: ttft, decode, …"
        )
    found = data.series_list(here.project.name, here.machine, search, limit=LIMIT)
    present = [g for g in GROUPS if any(metric_group(s) == g for s in found)]
    group = url_state.read("metric")
    with right:
        group = url_state.select(
            "Metric",
            [ANY, *present],
            name="metric",
            current=group if group in present else ANY,
            default=ANY,
        )
    if len(found) == LIMIT:
        st.caption(f"The first {LIMIT:,} series are listed; search to reach the others.")
    return [s for s in found if group == ANY or metric_group(s) == group], search


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
    # A constant, or zeros, say nothing: begin with what a team watches first.
    by_rule = next(iter(headline(known.values()).values()), None)
    first = str(by_rule.id) if by_rule is not None else next(iter(known))
    current = wanted if wanted in known else first
    several = len({s.machine for s in known.values()}) > 1

    def show(key: str) -> str:
        one = known[key]
        where = f"{one.machine}, {one.environment}" if several else one.environment
        return f"{label(one)} · {where} · {one.version[:6]}"

    url_state.write("series", current)
    picked = url_state.select(
        f"Series ({len(known):,})", list(known), name="series", current=current, show=show
    )
    return known[picked]


def _one(here: scope.Scope, series: SeriesInfo, window: int) -> None:
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
    st.altair_chart(
        charts.history_chart(
            history,
            palette_for(st.context.theme.type),
            commit_url=here.project.commit_url,
            limit=limit,
        ),
        key="history",
    )
    _legend(history)
    _shifts(here, history)
    table = tables.history_table(history, commit_url=here.project.commit_url)
    numbers = {
        name: st.column_config.NumberColumn(format="%.4g")
        for name in table
        if name.startswith(("value", "low", "high"))
    }
    st.dataframe(
        table,
        hide_index=True,
        height=tables.height_of(table),
        column_config=numbers
        | {
            "link": st.column_config.LinkColumn("open", display_text="open commit"),
            "subject": st.column_config.TextColumn(width="medium"),
        },
    )
    st.download_button(
        "Download as CSV",
        table.to_csv(index=False),
        file_name=f"{short_name(series)}.csv".replace("/", "_").replace(" ", "_"),
        mime="text/csv",
        icon=":material/download:",
    )


def _legend(history: SeriesHistory) -> None:
    parts = ["dots: the median of the attempts at a commit; bars: the interval of a single attempt"]
    if history.shifts:
        parts.append("dark lines: levels; triangles: where a level began")
    if history.fingerprint_changes:
        parts.append("dashed violet: the environment changed, a new segment begins")
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
