"""Two commits side by side: differences of what is stored, each beside its noise."""

from __future__ import annotations

import streamlit as st

from dashboard import charts, data, scope, tables
from dashboard.commits import choose_two
from dashboard.markup import Tile, tiles_html
from dashboard.palette import palette_for


def draw() -> None:
    """Draw the page."""
    here = scope.choose("Compare")
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
            _table(rows, "results at one of the two")
        return
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
        st.altair_chart(chart, key="changes")
    _table(rows, "all series")


def _table(rows: list[object], title: str) -> None:
    st.subheader(title.capitalize(), anchor=False)
    frame = tables.compare_frame(rows)  # type: ignore[arg-type]
    st.dataframe(
        frame.drop(columns=["percent"]),
        hide_index=True,
        height=tables.height_of(frame),
    )
    st.download_button(
        "Download as CSV",
        frame.to_csv(index=False),
        file_name="compare.csv",
        mime="text/csv",
        icon=":material/download:",
    )


draw()
