"""The triage report of a week, as `tracker report week` prints it."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

import streamlit as st

from dashboard import data, scope
from tracker.report.week import render_week

SPANS = {"week": 7, "fortnight": 14, "four weeks": 28}


def draw() -> None:
    """Draw the page."""
    here = scope.choose("Week")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        last: date = st.date_input(
            "Last day", datetime.now(UTC).date(), key="until", bind="query-params", width=180
        )
        span = st.segmented_control(
            "Span", list(SPANS), default="week", key="span", bind="query-params", required=True
        )
    until = datetime.combine(last, time(23, 59, 59), UTC)
    text = render_week(
        data.week(here.project.name, here.machine, until=until, days=SPANS[span or "week"])
    )
    st.download_button(
        "Download as Markdown",
        text,
        file_name=f"week-{last:%Y-%m-%d}.md",
        mime="text/markdown",
        icon=":material/download:",
        on_click="ignore",
    )
    with st.container(border=True):
        st.markdown(_plain(text))


def _plain(text: str) -> str:
    """GitHub's Markdown as Streamlit shows it: colons, dollars and tildes are no markup there."""
    lines = text.splitlines()
    for mark in ":$~":
        lines = [
            line if line.startswith("|--") else line.replace(mark, f"\\{mark}") for line in lines
        ]
    return "\n".join(lines)


draw()
