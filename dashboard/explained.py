"""Where a commit's time went: the stored explanation as a sentence, a table, an icicle and its traces."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pandas as pd
import streamlit as st

from dashboard import charts, data, figure
from dashboard.markup import plain
from dashboard.palette import palette_for
from dashboard.units import counted
from tracker.explain.explanation import Explained, Explanation
from tracker.explain.trace import holds_trace

__all__ = ["draw", "explanation_frame"]


def draw(project: str, commit: str) -> None:
    """Draw the newest explanations of a commit, one a machine; nothing where there is none."""
    explanations = data.explanations(project, commit)
    if not explanations:
        return
    st.subheader("Where the time went", anchor=False)
    for explanation in explanations:
        st.markdown(f":small[{plain(explanation.machine)} · against `{explanation.base[:10]}`]")
        if explanation.cause.kind != "code":
            st.warning(f"Not the code ({explanation.cause.kind}): {plain(explanation.cause.text)}")
        for suite in explanation.suites:
            _suite(explanation, suite)


def _suite(explanation: Explanation, suite: Explained) -> None:
    key = f"{explanation.machine}:{explanation.base}:{suite.benchmark}"
    said = suite.problem or f"{suite.verdict}, {counted(suite.pairs, 'pair')} of traces"
    st.markdown(f"**{plain(suite.benchmark)}**: {plain(said)}")
    if suite.rows:
        frame = explanation_frame(suite)
        st.dataframe(frame, hide_index=True, key=f"rows:{key}")
    chart = charts.icicle_chart(suite.frames, palette_for(st.context.theme.type))
    if chart is not None:
        figure.show(
            chart, key=f"icicle:{key}", name=f"{suite.benchmark}-calls",
            rows=pd.DataFrame(map(asdict, suite.frames)),
        )  # fmt: skip
    with st.container(horizontal=True):
        for arm, name in zip(("base", "head"), suite.traces, strict=False):
            path = Path(name)
            if not holds_trace(path):
                st.caption(f"The trace of {arm} is gone: launch folders are kept for 30 days.")
                continue
            st.download_button(
                f"Trace of {arm} (ui.perfetto.dev)",
                path.read_bytes,  # read when it is asked for
                file_name=f"{arm}-{suite.benchmark}.trace.json.gz",
                mime="application/gzip",
                key=f"trace:{arm}:{key}",
                on_click="ignore",
            )


def explanation_frame(suite: Explained) -> pd.DataFrame:
    """Return a suite's rows as a table, times in microseconds a step."""
    return pd.DataFrame(
        [
            {
                "place": f"{row.where} {row.function}".rstrip(),
                "what": row.what,
                "phase": row.phase,
                "calls a step": "" if row.calls is None else _calls(*row.calls),
                "µs a step": round(row.seconds * 1e6, 2),
                "95 % interval": ""
                if row.low is None or row.high is None
                else f"{row.low * 1e6:.2f} to {row.high * 1e6:.2f}",
                "share": "" if row.share is None else f"{row.share:.0%}",
                "beyond noise": row.is_certain,
                "line": row.code,
            }
            for row in suite.rows
        ]
    )


def _calls(base: float, head: float) -> str:
    return f"{base:.4g}" if base == head else f"{base:.4g} → {head:.4g}"
