"""What was measured when and where, what could not be read, and how long machines were busy."""

from __future__ import annotations

from datetime import UTC, datetime

import pandas as pd
import streamlit as st

from dashboard import data, scope, tables
from dashboard.markup import plain
from dashboard.units import ago, counted, format_date

RUNS = 50
GATES = 200  # newest gates that the minutes are counted from


def draw() -> None:
    """Draw the page."""
    here = scope.choose("Runs")
    _machines(here)
    _minutes(here)
    _runs(here)
    _problems(here)


def _machines(here: scope.Scope) -> None:
    st.subheader("Machines", anchor=False)
    now = datetime.now(UTC)
    frame = pd.DataFrame(
        [
            {
                "machine": use.machine.name,
                "last result": ago(use.last_measured, now),
                "date": format_date(use.last_measured),
                "series": use.num_series,
                "CPU": use.machine.cpu or "–",
                "cores": use.machine.num_cpu or "–",
                "memory": use.machine.ram or "–",
                "OS": use.machine.os or "–",
                "architecture": use.machine.arch or "–",
            }
            for use in data.machines(here.project.name)
            if here.machine in (None, use.machine.name)
        ]
    )
    st.dataframe(frame, hide_index=True, key="machines")


def _minutes(here: scope.Scope) -> None:
    st.subheader("Device minutes of gates", anchor=False)
    gates = [
        gate
        for gate in data.gates(here.project.name, limit=GATES)
        if here.machine in (None, gate.machine)
    ]
    frame = tables.minutes_frame(gates)
    if frame.empty:
        st.info("No finished gate has held a machine here.", icon=":material/timer:")
        return
    st.dataframe(frame, hide_index=True, key="minutes")
    st.caption(
        f"From the first launch of a gate to its end, of the newest {GATES} gates; a gate that has not "
        "ended is counted and has no minutes."
    )


def _runs(here: scope.Scope) -> None:
    runs = data.runs(here.project.name, here.machine, limit=RUNS)
    st.subheader(f"Newest runs · {len(runs)}", anchor=False)
    if not runs:
        st.info("No run was recorded on this machine.", icon=":material/list:")
        return
    frame = tables.runs_frame(runs)
    st.dataframe(frame, hide_index=True, key="runs")
    prints = tables.fingerprints_frame(runs)
    if not prints.empty:
        st.subheader("Environments of these runs", anchor=False)
        st.dataframe(prints, hide_index=True, key="fingerprints")


def _problems(here: scope.Scope) -> None:
    problems = data.problems(here.project.name)
    st.subheader("Problems", anchor=False)
    if not problems:
        st.markdown("Everything that was given to `tracker ingest` could be read.")
        return
    frame = tables.problems_frame(problems)
    st.dataframe(frame, hide_index=True, key="problems")
    reasons = list(dict.fromkeys(problem.reason for problem in problems))
    with st.expander(f"In full: {counted(len(reasons), 'reason')}"):
        for reason in reasons[:RUNS]:
            st.text(reason)
        if len(reasons) > RUNS:
            st.caption(f"{len(reasons) - RUNS} more stand in the table.")
    st.caption(plain("A file that reads cleanly takes its problems off this list."))


draw()
