"""Shows a chart, with its files beneath: PNG, SVG, CSV and the specification as JSON."""

from __future__ import annotations

import json
import re
from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

from dashboard.palette import palette_for

__all__ = ["show"]

_WIDTH = 1000  # pixels of a chart in a file


def show(chart: Any, *, key: str, name: str, rows: pd.DataFrame, **options: Any) -> Any:
    """Draw a chart and offer its files; returns what `st.altair_chart` returns.

    Args:
        chart: A single or layered Altair chart.
        key: Unique on the page.
        name: Of the files, without suffix.
        rows: What the CSV holds.
        options: For `st.altair_chart`.
    """
    background = palette_for(st.context.theme.type).background
    stem = re.sub(r"[^\w.-]+", "_", name).strip("_")[:80] or "chart"
    files = {
        "PNG": (lambda: _rendered(chart, background, "png"), "image/png"),
        "SVG": (lambda: _rendered(chart, background, "svg"), "image/svg+xml"),
        "CSV": (lambda: rows.to_csv(index=False), "text/csv"),
        "JSON": (lambda: json.dumps(_specification(chart, background)), "application/json"),
    }
    with st.container(gap=None):
        drawn = st.altair_chart(chart, key=key, **options)
        with (
            st.container(horizontal=True, horizontal_alignment="right", key=f"files-{key}"),
            st.popover("Files", icon=":material/download:", type="tertiary"),
        ):
            for kind, (content, mime) in files.items():
                st.download_button(
                    kind,
                    content,  # made when it is asked for
                    file_name=f"{stem}.{kind.lower()}",
                    mime=mime,
                    key=f"file:{key}:{kind}",
                    on_click="ignore",
                )
    return drawn


def _specification(chart: Any, background: str) -> dict[str, Any]:
    with alt.data_transformers.enable("default", max_rows=None):
        specification: dict[str, Any] = chart.properties(width=_WIDTH).to_dict()
    specification["config"]["background"] = background
    return specification


def _rendered(chart: Any, background: str, kind: str) -> str | bytes:
    import vl_convert  # ten megabytes of JavaScript: only where a file is asked for

    specification = _specification(chart, background)
    if kind == "svg":
        return str(vl_convert.vegalite_to_svg(specification))
    return bytes(vl_convert.vegalite_to_png(specification, scale=2))
