"""A series and a gate in little, each with a link to its page."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import streamlit as st

from dashboard import charts, data, figure, scope, tables
from dashboard.groups import scenario, short_name
from dashboard.markup import badge_of, plain
from dashboard.palette import palette_for
from dashboard.units import ago, counted, direction, format_value
from tracker.domain import GateInfo, SeriesInfo

__all__ = ["gate_row", "series_card", "series_cards"]


def series_cards(
    here: scope.Scope, shown: Sequence[SeriesInfo], *, window: int, columns: int = 3
) -> None:
    """Cards of several series, in rows of `columns`."""
    places = st.columns(columns)
    for number, series in enumerate(shown):
        with places[number % columns]:
            note = f"{scenario(series)} · {series.machine} · {series.environment}"
            series_card(here, series, window=window, note=note)


def series_card(
    here: scope.Scope,
    series: SeriesInfo,
    *,
    window: int,
    title: str = "",
    note: str = "",
    limit: float | None = None,
) -> None:
    """Draw the newest `window` commits of a series.

    Args:
        here: Its link stays within this scope.
        series: What is drawn.
        window: Commits, at most.
        title: Instead of the metric's own name.
        note: Small print under the name, beside the direction.
        limit: The worst value that the project allows.
    """
    history = data.history(series.id, limit=window)
    with st.container(gap="xsmall"):
        st.page_link(
            "app_pages/series.py",
            label=f"**{title or plain(short_name(series))}** · {format_value(series.last_value, series.unit)}",
            query_params=here.link(series=series.id),
        )
        stated = None if limit is None else f"limit {format_value(limit, series.unit)}"
        parts = [plain(note) if note else None, direction(series.better), stated]
        st.markdown(f":small[{' · '.join(filter(None, parts))}]")
        if history.points:
            chart = charts.history_chart(
                history, palette_for(st.context.theme.type), limit=limit, height=190, compact=True
            )
            figure.show(
                chart,
                key=f"card:{series.id}",
                name=short_name(series),
                rows=tables.history_table(history),
            )


def gate_row(here: scope.Scope, gate: GateInfo) -> None:
    """Draw a gate in one line: its outcome, its commits, when and where."""
    word = gate.outcome or "running"
    colour, icon = badge_of(word)
    text = word if gate.exit_code is None else f"{word} · exit {gate.exit_code}"
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.badge(text, color=colour, icon=icon)  # type: ignore[arg-type]
        st.page_link(
            "app_pages/gates.py",
            label=f"{gate.base.commit[:10]} → {gate.head.commit[:10]}",
            query_params=here.link(gate=gate.id),
        )
        st.markdown(
            f":small[{ago(gate.started_at, datetime.now(UTC))} · {plain(gate.machine)} · "
            f"{counted(gate.pairs, 'pair')} · {counted(len(gate.verdicts), 'metric')}]"
        )
