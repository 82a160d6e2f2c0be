"""The first page: the main metrics, what got worse at which commit, and whether to trust it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

import pandas as pd
import streamlit as st

from dashboard import charts, data, figure, scope, tables, url_state, writes
from dashboard.cards import gate_row, series_card
from dashboard.commits import commit_markdown
from dashboard.creep import budget_frame, since_of
from dashboard.groups import label, scenario, short_name
from dashboard.limits import limit_of
from dashboard.markup import Tile, badge_of, plain, shift_html, tiles_html
from dashboard.palette import palette_for
from dashboard.triage_panel import bulk_actions
from dashboard.units import ago, counted, direction, format_date, format_effect
from tracker.domain import AlertInfo, CalibrationInfo, GateInfo, LevelShift, Overview, SeriesInfo
from tracker.findings import Change, Finding, group_by_commit
from tracker.triage import Triaged, triaged

FIRST = 5  # commits shown before "show more"
MOST = 40
INSIDE = 50  # series listed inside of a commit
SPARK_POINTS = 300  # revisions in a sparkline
CHART_POINTS = 100  # revisions in a chart at the top
GATES = 200  # newest, among which one that knew the release is looked for
SILENT = timedelta(days=7)


def draw() -> None:
    """Draw the page."""
    here = scope.choose("Today")
    state = data.overview(here.project.name, here.machine)
    now = datetime.now(UTC)
    shown = _headline(here, state.gates)
    _numbers(state, now)
    _silent(here)
    worse, better = (_triaged(here, pairs) for pairs in (state.worse, state.better))
    searched = data.searched_series(here.project.name)
    if searched.num_searched < searched.num_series:
        st.warning(
            f"{searched.num_series - searched.num_searched:,} of {searched.num_series:,} series were not "
            "searched for level shifts yet: `tracker changepoints` does that.",
            icon=":material/search:",
        )
    _moved(
        here,
        worse,
        now,
        name="worse",
        title="Worse",
        nothing="Nothing is worse than before. The level shifts are those that "
        "`tracker changepoints` found when it last ran."
        if searched.num_searched
        else "",
    )
    _several(worse)
    _other_alerts(here, state, [*worse, *better], now)
    _creep(here, list(shown.values()))
    _moved(
        here,
        better,
        now,
        name="better",
        title="Better",
        nothing="No series got better and stayed so." if searched.num_searched else "",
    )
    _gates(here, state.gates)
    _problems(state)


def _headline(here: scope.Scope, gates: Sequence[GateInfo]) -> dict[str, SeriesInfo]:
    """The charts that answer first: latency, first-token time, utilization, throughput."""
    shown = data.headline(here.project.name, here.machine)
    if not shown:
        return {}
    first = next(iter(shown.values()))
    where = " · ".join(filter(None, (scenario(first), ", ".join(first.params), first.machine)))
    st.markdown(f":small[{plain(where)}]")
    for column, (group, series) in zip(st.columns(len(shown)), shown.items(), strict=True):
        with column:
            series_card(
                here,
                series,
                window=CHART_POINTS,
                title=group,
                note=short_name(series),
                limit=limit_of(series, gates),
            )
    return shown


def _silent(here: scope.Scope) -> None:
    """Machines that stopped measuring while others went on."""
    uses = [use for use in data.machines(here.project.name) if use.last_measured is not None]
    newest = max((use.last_measured for use in uses if use.last_measured), default=None)
    for use in uses:
        if newest and use.last_measured and newest - use.last_measured > SILENT:
            st.warning(
                f"{plain(use.machine.name)} has measured nothing since "
                f"{format_date(use.last_measured)}; another machine has.",
                icon=":material/notifications_paused:",
            )


def _creep(here: scope.Scope, shown: Sequence[SeriesInfo]) -> None:
    """What the main metrics have left of their creep budget since the last release."""
    gates = data.gates(here.project.name, limit=GATES)
    histories = [data.history(series.id, limit=CHART_POINTS) for series in shown]
    since = since_of(gates, histories)
    frame = pd.DataFrame() if since is None else budget_frame(histories, since, gates)
    if since is None or frame.empty:
        return  # no gate has stated a budget yet
    st.subheader("Creep", anchor=False)
    figure.show(
        charts.budget_chart(frame, palette_for(st.context.theme.type)),
        key="creep",
        name="creep",
        rows=frame,
    )
    name = (
        f"release {plain(since.tag)}, `{since.commit[:10]}`"
        if since.tag
        else f"`{since.commit[:10]}`, the oldest commit shown: no gate has measured against a release yet "
        "(`tracker gate --creep`)"
    )
    st.markdown(
        f":small[Since {name}. Read off the histories, without changes of the environment; the gate decides by "
        "measuring against the release.]"
    )


def _numbers(state: Overview, now: datetime) -> None:
    palette = palette_for(st.context.theme.type)
    rate, rate_note = _false_alarms(state.calibration)
    measured = state.project.last_measured
    tiles = [
        Tile(
            "Series worse",
            str(len(state.worse)),
            "than before their last level shift",
            palette.worse if state.worse else "",
        ),
        Tile(
            "Series better",
            str(len(state.better)),
            "than before their last level shift",
            palette.better if state.better else "",
        ),
        Tile("Newest result", ago(measured, now), format_date(measured)),
        Tile("False alarms", rate, rate_note),
        Tile(
            "Failed",
            str(state.num_failed_last),
            "results at the newest commit",
            palette.failed if state.num_failed_last else "",
        ),
        Tile("Unread", str(len(state.problems)), "entries that ingest could not read"),
    ]
    st.html(tiles_html(tiles))
    st.markdown(f":small[{_freshness(state)}]")


def _freshness(state: Overview) -> str:
    project = state.project
    newest = state.newest
    commit = (
        f"newest commit `{newest.commit[:10]}` of {format_date(newest.committed_at)}"
        if newest
        else "no commit"
    )
    return (
        f"{project.num_results:,} results of {project.num_series:,} series at "
        f"{project.num_revisions:,} commits; {commit}, measured {format_date(project.last_measured)}."
    )


def _false_alarms(calibration: CalibrationInfo) -> tuple[str, str]:
    """What is known of the false-block rate: it needs gates, and zero is never claimed."""
    if calibration.gates == 0 or calibration.upper_bound is None:
        return "not measured yet", "no A/A gate, one commit against itself, is stored"
    return (
        f"{calibration.false_blocks} of {calibration.gates}",
        f"A/A gates; the rate is below {100 * calibration.upper_bound:.1f} % (95 % confidence)",
    )


def _triaged(
    here: scope.Scope, pairs: Iterable[tuple[SeriesInfo, LevelShift]]
) -> tuple[Triaged, ...]:
    """Level shifts as triage has them, with their alerts; worst first."""
    findings = group_by_commit(Change(series, shift) for series, shift in pairs)
    return triaged(findings, data.all_alerts(here.project.name)) if findings else ()


def _several(items: Sequence[Triaged]) -> None:
    """Triage of several findings together, for those who may."""
    alerts = [item.alert for item in items if item.alert is not None]
    if len(alerts) > 1 and writes.user().may("triager"):
        with st.expander("Triage several findings together", icon=":material/checklist:"):
            bulk_actions(alerts, key="today")


def _other_alerts(
    here: scope.Scope, state: Overview, items: Sequence[Triaged], now: datetime
) -> None:
    """Alerts whose commit is no finding of this page: a gate opened them, or the level came back."""
    shown = {item.alert.id for item in items if item.alert is not None}
    others = [
        alert
        for alert in state.alerts
        if alert.id not in shown and here.machine in (None, alert.machine)
    ]
    if not others:
        return
    st.subheader(f"Other alerts · {len(others)}", anchor=False)
    for alert in others[:MOST]:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            _badge(alert)
            if alert.revision is None:
                st.markdown(plain(alert.title))
            else:
                st.page_link(
                    "app_pages/finding.py",
                    label=plain(alert.title),
                    query_params=here.link(commit=alert.revision.commit),
                )
            st.markdown(f":small[opened {ago(alert.created_at, now)}]")
    if len(others) > MOST:
        st.caption(f"{len(others) - MOST} more; `tracker alerts list` has them all.")


def _badge(alert: AlertInfo) -> None:
    colour, icon = badge_of(alert.state)
    st.badge(f"alert {alert.id} · {alert.state}", color=colour, icon=icon)  # type: ignore[arg-type]


def _moved(
    here: scope.Scope,
    items: Sequence[Triaged],
    now: datetime,
    *,
    name: str,
    title: str,
    nothing: str,
) -> None:
    if not items and not nothing:
        return  # nobody has looked
    num_series = sum(len(item.finding.changes) for item in items)
    num_commits = len({item.finding.revision.commit for item in items})
    counts = f"{counted(num_commits, 'commit')}, {num_series} series"
    st.subheader(f"{title} · {counts}" if items else title, anchor=False)
    if not items:
        st.info(nothing, icon=":material/check:")
        return
    wide = url_state.read("all") == name
    for item in items[: MOST if wide else FIRST]:
        _card(here, item.finding, item.alert, now)
    rest = len(items) - (MOST if wide else FIRST)
    if rest > 0 and not wide:
        st.button(
            f"Show {min(rest, MOST - FIRST)} more",
            key=f"more:{name}",
            on_click=url_state.write,
            args=("all", name),
        )
    elif rest > 0:
        st.caption(f"{rest} more; narrow them down by machine, or search on the Series page.")


def _card(here: scope.Scope, finding: Finding, alert: AlertInfo | None, now: datetime) -> None:
    """One commit: what it is, its worst series with a sparkline, the others inside."""
    worst = finding.changes[0]
    revision = finding.revision
    with st.container(border=True, key=f"moved-{worst.series.id}", gap="xsmall"):
        text, picture = st.columns([11, 10], vertical_alignment="center")
        with text:
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                st.page_link(
                    "app_pages/finding.py",
                    label=f"**{plain(revision.subject or revision.commit[:10])}**",
                    query_params=here.link(commit=revision.commit),
                )
                if alert is not None:
                    _badge(alert)
            # Not a caption: its faded text would take the contrast off the links in it.
            st.markdown(
                f":small[{commit_markdown(here, revision.commit)} {format_date(revision.committed_at)}, "
                f"{ago(revision.committed_at, now)} · {plain(finding.machine)} · "
                f"{plain(worst.series.environment)} · {direction(worst.series.better)}]"
            )
            _series_link(here, worst.series)
        with picture:
            history = data.history(worst.series.id, limit=SPARK_POINTS)
            st.html(shift_html(history, worst.shift, palette_for(st.context.theme.type)))
        others = finding.changes[1:]
        if others:
            with st.expander(f"{len(others)} more series moved at this commit"):
                for change in others[:INSIDE]:
                    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                        st.markdown(f"**{format_effect(change.shift.effect)}**")
                        _series_link(here, change.series)
                if len(others) > INSIDE:
                    st.caption(f"{len(others) - INSIDE} more; the finding's page lists them all.")


def _series_link(here: scope.Scope, series: SeriesInfo) -> None:
    st.page_link(
        "app_pages/series.py",
        label=plain(label(series)),
        query_params=here.link(series=series.id),
    )


def _gates(here: scope.Scope, gates: Sequence[GateInfo]) -> None:
    st.subheader("Latest gates", anchor=False)
    if not gates:
        st.info(
            "No gate has run. `tracker gate BASE HEAD` measures two commits in turns and ends "
            "with a verdict.",
            icon=":material/verified_user:",
        )
        return
    for gate in gates[:5]:
        gate_row(here, gate)


def _problems(state: Overview) -> None:
    if not state.problems:
        return
    with st.expander(f"Unread entries: {len(state.problems)}"):
        st.dataframe(tables.problems_frame(state.problems), hide_index=True)


draw()
