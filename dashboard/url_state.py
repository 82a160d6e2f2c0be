"""The state of a page lives in its URL: widgets read from it and write to it.

Most widgets are bound by Streamlit itself (`bind="query-params"`), which writes what is *shown*. Those
here hold another value than they show (a series' number, a commit's hash), or one that follows the reader.

The URL is written before a rerun begins (in the widget's callback) and read when the widget is
drawn, so a copied link, a reload and the browser's back button all show the same page.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

__all__ = ["keep", "read", "select", "several", "write"]


def read(name: str) -> str | None:
    """The URL's value of a parameter; None where it is absent or empty."""
    return st.query_params.get(name) or None


def write(name: str, value: str | None) -> None:
    """Set a parameter, or take it out of the URL."""
    if value:
        if st.query_params.get(name) != value:
            st.query_params[name] = value
    elif name in st.query_params:
        del st.query_params[name]


def keep(name: str, default: str | None) -> str | None:
    """A parameter that follows the reader from page to page: the project.

    Streamlit drops the query when a page is opened from the navigation; this session's last
    choice then fills it in again.
    """
    memory = f"last:{name}"
    value = read(name) or st.session_state.get(memory) or default
    st.session_state[memory] = value
    return value


def select(
    label: str,
    options: Sequence[str],
    *,
    name: str,
    current: str,
    show: Callable[[str], str] = str,
) -> str:
    """A select box bound to a URL parameter.

    Args:
        label: What is chosen.
        options: Values as they stand in the URL; `current` must be one of them.
        name: The URL parameter.
        current: The value to show.
        show: A value as the reader sees it.
    """
    key = f"url:{name}"
    st.session_state[key] = current

    def chosen() -> None:
        value = st.session_state[key]
        st.session_state[f"last:{name}"] = value
        write(name, value)

    picked: str = st.selectbox(label, options, format_func=show, key=key, on_change=chosen)
    return picked


def several(
    label: str,
    options: Sequence[str],
    *,
    name: str,
    show: Callable[[str], str] = str,
    most: int | None = None,
    placeholder: str = "",
) -> list[str]:
    """A box for several values bound to a URL parameter, where they stand with commas between them.

    What the URL names and `options` lacks is left out.
    """
    key = f"url:{name}"
    named = (read(name) or "").split(",")
    st.session_state[key] = [value for value in named if value in options][:most]

    def chosen() -> None:
        write(name, ",".join(st.session_state[key]))

    picked: list[str] = st.multiselect(
        label, options, format_func=show, key=key, on_change=chosen, max_selections=most,
        placeholder=placeholder,
    )  # fmt: skip
    return picked
