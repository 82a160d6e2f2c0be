"""Whether the gate and the detector can be trusted: false alarms, noise, control, settings."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from dashboard import charts, data, figure, reliability, scope, tables
from dashboard.markup import Tile, plain, tiles_html
from dashboard.palette import palette_for
from tracker.domain import CalibrationRecord, GateInfo

SETTINGS = {
    "alpha": "rate of false alarms that the gate keeps to",
    "margin": "smallest relative change that matters",
    "detect": "change that a gate has to be able to see",
    "max_pairs": "most pairs of launches",
    "on_inconclusive": "what an undecided gate does",
    "creep_against": "release that creep is measured against",
    "creep_budget": "creep that is allowed",
    "limits": "worst value of a metric, by pattern",
}


def draw() -> None:
    """Draw the page."""
    here = scope.choose("Trust")
    gates = [
        gate
        for gate in data.gates(here.project.name)
        if here.machine is None or gate.machine == here.machine
    ]
    _record(here)
    _resolution(gates)
    _control(here)
    _settings(here, gates)


def _record(here: scope.Scope) -> None:
    st.subheader("False alarms", anchor=False)
    records = data.calibration_records(here.project.name, here.machine)
    if not records:
        st.info(
            "How often the gate cries wolf is not known here. This measures one commit against "
            "itself, again and again:",
            icon=":material/balance:",
        )
        st.code("tracker calibrate --gates 20", language="bash")
        return
    st.html(tiles_html(_latest(records)))
    frame = reliability.record_frame(records)
    if frame["when"].nunique() > 1:
        chart = charts.record_chart(frame, palette_for(st.context.theme.type))
        figure.show(chart, key="record", name="false-alarms", rows=frame)
    st.caption(
        "A/A gates measure one commit against itself: every regression they call is false. The bound "
        "is exact, at 95 % confidence; it falls as more of them pass."
    )
    blocks = tables.calibrations_frame(data.calibrations(here.project.name, here.machine))
    if len(blocks):
        st.dataframe(blocks, hide_index=True, key="calibrations")


def _latest(records: Sequence[CalibrationRecord]) -> list[Tile]:
    newest = {record.machine: record.counted for record in records}
    return [
        Tile(
            machine,
            f"{counted.false_blocks} of {counted.gates}",
            f"false alarms; the rate is below {100 * (counted.upper_bound or 0):.1f} %",
        )
        for machine, counted in newest.items()
    ]


def _resolution(gates: Sequence[GateInfo]) -> None:
    st.subheader("Noise floor", anchor=False)
    frame = reliability.resolution_frame(gates)
    if frame.empty:
        st.info("No gate has measured a metric here yet.", icon=":material/graphic_eq:")
        return
    st.dataframe(frame, hide_index=True, key="resolution")
    st.caption(
        "Of the newest gate that measured a metric on a machine: half the width of its interval. Could see: "
        "the smallest true change that the newest gate which says so would have called. More pairs "
        "make both smaller."
    )


def _control(here: scope.Scope) -> None:
    st.subheader("Control workload", anchor=False)
    machines = (here.machine,) if here.machine else here.project.machines
    drawn = 0
    for machine in machines:
        frame = reliability.control_frame(machine, data.launches(here.project.name, machine))
        if frame.empty:
            continue
        drawn += 1
        st.markdown(f"**{plain(machine)}** :small[{len(frame)} launches]")
        chart = charts.control_chart(frame, palette_for(st.context.theme.type))
        figure.show(chart, key=f"control:{machine}", name=f"control-{machine}", rows=frame)
    if drawn:
        st.caption(
            "A workload that no commit touches runs around every launch: what moves here is the "
            "machine, not the code."
        )
    else:
        st.info(
            "No launch of a gate ran a control here, so a machine that changes speed is not told "
            "from code that does.",
            icon=":material/speed:",
        )


def _settings(here: scope.Scope, gates: Sequence[GateInfo]) -> None:
    st.subheader("Settings", anchor=False)
    searched = data.searched_series(here.project.name)
    shifts = ", ".join(f"{count} by {name}" for name, count in searched.shifts) or "none"
    st.markdown(
        f"Searched for level shifts: {searched.num_searched:,} of {searched.num_series:,} series; "
        f"found: {plain(shifts)}."
    )
    policy = next((gate.policy for gate in gates if gate.policy), None)
    if policy is None:
        st.markdown("The gate's settings are stored with each gate; none has run here.")
        return
    rows = []
    for name, meaning in SETTINGS.items():
        value = policy.get(name)
        if isinstance(value, dict):
            value = "; ".join(f"{pattern}: {worst}" for pattern, worst in value.items())
        if value not in (None, ""):
            rows.append({"setting": name, "value": str(value), "meaning": meaning})
    st.dataframe(pd.DataFrame(rows), hide_index=True, key="settings")
    st.caption("Of the newest gate here. `pacekeeper.toml` sets them.")


draw()
