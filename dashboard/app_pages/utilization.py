"""How busy the hardware was: one launch through time, on the roofline, and over the commits."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from dashboard import charts, data, figure, scope, url_state
from dashboard.cards import series_cards
from dashboard.commits import commit_markdown
from dashboard.groups import metric_group, scenario
from dashboard.headline import says_something
from dashboard.markup import Tile, plain, tiles_html
from dashboard.palette import palette_for
from dashboard.units import format_date
from dashboard.utilization import (
    PANELS,
    facts_of,
    kernels_of,
    panel_frame,
    phase_frame,
    request_frame,
    roofline_frame,
    tiers_of,
    warnings_of,
    window_of,
)
from tracker.domain import LaunchInfo, LaunchTrace

LIMIT = 1000  # series looked at
SMALL = 9  # charts over commits
NONE = "No launch artifact is stored here"


def draw() -> None:
    """Draw the page."""
    here = scope.choose("Utilization")
    commit = url_state.read("commit")
    of_gates = commit is None and st.toggle(
        "Launches of gates, too", key="gates", bind="query-params"
    )
    launches = [
        launch
        for launch in data.newest_launches(
            here.project.name,
            here.machine,
            commits=(commit,) if commit else (),
            of_gates=of_gates or commit is not None,
        )
        if launch.header.get("utilization") or launch.header.get("telemetry")
    ]
    if commit is not None:
        st.button(
            f"Only commit {commit[:10]}: show all",
            on_click=url_state.write, args=("commit", None), icon=":material/close:",
        )  # fmt: skip
    if launches:
        _launch(here, _chosen(launches))
    else:
        st.info(
            f"{NONE} that says how busy the hardware was. The suites of the load harness write "
            "one for each launch; `tracker run` and `tracker gate` store it.",
            icon=":material/memory:",
        )
    _over_commits(here)


def _chosen(launches: Sequence[LaunchInfo]) -> LaunchInfo:
    suites = list(dict.fromkeys(launch.benchmark for launch in launches))
    wanted = url_state.read("launch")
    known = {str(launch.id): launch for launch in launches}
    of_url = known[wanted].benchmark if wanted in known else None
    left, right = st.columns([2, 3])
    with left:
        suite = url_state.read("suite")
        suite = url_state.select(
            "Scenario",
            suites,
            name="suite",
            current=suite if suite in suites else of_url or suites[0],
        )
    listed = {key: launch for key, launch in known.items() if launch.benchmark == suite}
    current = wanted if wanted in listed else next(iter(listed))

    def show(key: str) -> str:
        launch = listed[key]
        subject = launch.revision.subject or ""
        parts = [launch.revision.commit[:10], format_date(launch.revision.committed_at)]
        return " · ".join(filter(None, [*parts, launch.machine, launch.source, subject]))

    with right:
        picked = url_state.select(
            f"Launch ({len(listed)})", list(listed), name="launch", current=current, show=show
        )
    return listed[picked]


def _launch(here: scope.Scope, launch: LaunchInfo) -> None:
    trace = data.launch_trace(launch.path, launch.digest)
    with st.container(horizontal=True, gap="small"):
        for tier in tiers_of(launch.header):
            st.badge(tier, color="gray", icon=":material/sensors:")
        st.badge(plain(launch.machine), color="gray", icon=":material/computer:")
        st.markdown(f":small[{commit_markdown(here, launch.revision.commit)}]")
    facts = facts_of(launch.header)
    if facts:
        st.html(tiles_html([Tile(name, value, note) for name, value, note in facts]))
    for warning in warnings_of(launch.header):
        st.warning(plain(warning), icon=":material/thermostat:")
    _timeline(launch, trace)
    _roofline(here, launch)


def _timeline(launch: LaunchInfo, trace: LaunchTrace | None) -> None:
    st.subheader("Through the launch", anchor=False)
    window = window_of(launch.header, trace)
    if trace is None or window is None:
        st.info(
            "The file of this launch is not on the dashboard's machine, or it is another by now: the "
            "store keeps its summary alone.",
            icon=":material/draft:",
        )
        return
    palette = palette_for(st.context.theme.type)
    margin = 0.02 * (window[1] - window[0])
    axis = (window[0] - margin, window[1] + margin)
    name = f"{launch.benchmark}-{launch.revision.commit[:10]}"
    panels = [(panel, frame) for panel in PANELS if not (frame := panel_frame(trace, panel)).empty]
    if trace.requests:
        requests, phases = request_frame(trace), phase_frame(trace)
        figure.show(
            charts.request_chart(requests, axis, palette),
            key="requests", name=f"{name}-requests", rows=requests,
        )  # fmt: skip
        if not phases.empty:
            figure.show(
                charts.phase_chart(phases, axis, palette),
                key="phases", name=f"{name}-phases", rows=phases,
            )  # fmt: skip
    for panel, frame in panels:
        figure.show(
            charts.panel_chart(frame, panel, axis, palette, last=panel is panels[-1][0]),
            key=f"panel:{panel.title}", name=f"{name}-{panel.title}", rows=frame,
        )  # fmt: skip
    if not panels:
        st.caption(
            "No device was sampled during this launch: there is no GPU, or NVML does not know it. "
            "What is known is analytic: bytes and operations that the model needs, over the time of its steps."
        )
    st.caption(
        "First token: from a request's submission to its first token, queue and prefill. Output: from "
        "there to its last token, decode."
    )


def _roofline(here: scope.Scope, launch: LaunchInfo) -> None:
    of_commit = data.newest_launches(
        here.project.name, launch.machine, commits=(launch.revision.commit,)
    )
    kernels = kernels_of(one.header for one in of_commit)
    frame, ceiling = roofline_frame(launch.header, kernels)
    st.subheader("Roofline", anchor=False)
    if frame.empty:
        st.markdown(
            "This launch does not tell the work and the time of prefill and decode apart, so its "
            "phases have no place on a roofline."
        )
        return
    figure.show(
        charts.roofline_chart(frame, ceiling, palette_for(st.context.theme.type)),
        key="roofline", name=f"{launch.benchmark}-roofline", rows=frame,
    )  # fmt: skip
    st.caption(
        "Analytic: bytes and operations that the steps need at least, over the wall time of the steps. "
        "The ceilings are what this machine reached in the same launch. "
        + (
            "Diamonds: kernels that the kernel suites timed alone, with a cold cache, at this commit."
            if kernels
            else "No kernel suite was measured at this commit on this machine."
        )
    )


def _over_commits(here: scope.Scope) -> None:
    """Utilization and energy of the project's scenarios, by commit."""
    known = data.series_list(here.project.name, here.machine, None, limit=LIMIT)
    shown = [
        series
        for series in known
        if says_something(series)
        and (metric_group(series) == "Utilization" or series.kind == "energy")
    ]
    shown.sort(key=lambda series: (series.kind != "energy", -series.num_points, scenario(series)))
    st.subheader("Over the commits", anchor=False)
    if not shown:
        st.markdown("No series of utilization or energy was measured here.")
        return
    series_cards(here, shown[:SMALL], window=100)
    if len(shown) > SMALL:
        st.caption(f"{SMALL} of {len(shown)} series; the Series page has all of them.")


draw()
