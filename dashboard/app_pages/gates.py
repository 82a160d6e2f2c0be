"""One gate: its verdicts and their intervals against the margin."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial

import streamlit as st

from dashboard import charts, data, figure, scope, tables, url_state
from dashboard.markup import Tile, badge_of, plain, tiles_html
from dashboard.palette import palette_for
from dashboard.units import ago
from tracker.domain import GateInfo
from tracker.errors import UsageError


def draw() -> None:
    """Draw the page."""
    here = scope.choose("Gates")
    known = {
        g.id: g
        for g in data.gates(here.project.name)
        if here.machine is None or g.machine == here.machine
    }
    wanted = url_state.read("gate")
    if wanted and wanted not in known:
        try:
            known[wanted] = data.gate(wanted)
        except UsageError as error:
            st.warning(str(error))
    if not known:
        st.info(
            "No gate has run here. This measures two commits in turns and ends with a verdict:",
            icon=":material/verified_user:",
        )
        st.code("tracker gate main HEAD", language="bash")
        return
    now = datetime.now(UTC)

    def show(key: str) -> str:
        one = known[key]
        return (
            f"{one.base.commit[:10]} → {one.head.commit[:10]} · {_word(one)} · "
            f"{ago(one.started_at, now)}"
        )

    current = wanted if wanted in known else next(iter(known))
    url_state.write("gate", current)
    picked = url_state.select("Gate", list(known), name="gate", current=current, show=show)
    _gate(here, known[picked], now)


def _word(gate: GateInfo) -> str:
    return gate.outcome or "running"


def _gate(here: scope.Scope, gate: GateInfo, now: datetime) -> None:
    counts = [v.status for v in gate.verdicts]
    palette = palette_for(st.context.theme.type)
    colours = {"red": palette.worse, "green": palette.better, "orange": palette.failed}
    st.html(
        tiles_html(
            [
                Tile(
                    "Verdict",
                    _word(gate),
                    "not finished" if gate.exit_code is None else f"exit code {gate.exit_code}",
                    colours.get(badge_of(_word(gate))[0], ""),
                ),
                Tile("Regressions", str(counts.count("regression")), f"of {len(counts)} metrics"),
                Tile("Undecided", str(counts.count("inconclusive"))),
                Tile("Pairs of launches", str(gate.pairs)),
                Tile("Started", ago(gate.started_at, now), f"{gate.started_at:%Y-%m-%d %H:%M} UTC"),
            ]
        )
    )
    st.caption(f"Measured on {plain(gate.machine)}.")
    margins = tables.margins_of(gate)
    frame = tables.verdicts_frame(gate)
    chart = charts.forest_chart(gate, palette, margins=margins)
    if chart is None:
        st.info("No verdict of this gate shows a change.", icon=":material/hourglass_empty:")
    else:
        figure.show(chart, key="forest", name=f"gate-{gate.id[:10]}", rows=frame)
        if margins:
            widths = " or ".join(f"±{100 * m:g} %" for m in sorted(set(margins.values())))
            st.caption(
                f"Grey: the margin, {widths}; a change within it does not matter. A regression "
                "lies beyond it on the worse side."
            )
    still = sum(v.kind == "exact" and v.effect == 0 for v in gate.verdicts)
    if still:
        st.caption(f"{still} exact metrics did not move; they stand in the table only.")
    st.dataframe(
        frame,
        hide_index=True,
        column_config={
            "could see": st.column_config.TextColumn(
                help="The smallest true change that this gate would have called."
            ),
        },
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        st.page_link(
            "app_pages/compare.py",
            label="Compare the two commits",
            icon=":material/compare_arrows:",
            query_params=here.link(base=gate.base.commit, head=gate.head.commit),
        )
        st.download_button(
            "Report (HTML)",
            partial(data.gate_page, gate.id),  # made when it is asked for
            file_name=f"gate-{gate.base.commit[:10]}-{gate.head.commit[:10]}.html",
            mime="text/html",
            icon=":material/download:",
            type="tertiary",
            on_click="ignore",
        )


draw()
