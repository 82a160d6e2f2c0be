"""The dashboard's entry: `tracker dashboard` runs it with PACEKEEPER_DB set.

Pages are files of `app_pages/`; an error that the tracker names is shown as its message, with
the mend, and never as a traceback.
"""

from __future__ import annotations

import streamlit as st

from dashboard import data
from dashboard.markup import STYLE
from tracker.errors import PacekeeperError, SchemaError, StoreError

PAGES = (
    ("overview", "Today", ":material/monitor_heart:"),
    ("finding", "Finding", ":material/troubleshoot:"),
    ("series", "Series", ":material/show_chart:"),
    ("compare", "Compare", ":material/compare_arrows:"),
    ("frontier", "Frontier", ":material/stacked_line_chart:"),
    ("utilization", "Utilization", ":material/memory:"),
    ("gates", "Gates", ":material/verified_user:"),
    ("trust", "Trust", ":material/balance:"),
    ("week", "Week", ":material/summarize:"),
    ("runs", "Runs", ":material/list:"),
    ("account", "Account", ":material/account_circle:"),
)


def main() -> None:
    """Draw the navigation and the chosen page."""
    st.set_page_config(
        page_title="Pacekeeper",
        page_icon=":material/speed:",
        layout="wide",
        initial_sidebar_state="auto",
    )
    page = st.navigation(
        [
            st.Page(
                f"app_pages/{name}.py",
                title=title,
                icon=icon,
                url_path=name,
                default=name == "overview",
            )
            for name, title, icon in PAGES
        ],
        position="top",
    )
    st.html(STYLE)
    try:
        page.run()
    except PacekeeperError as error:
        _show(error)


def _show(error: PacekeeperError) -> None:
    if isinstance(error, SchemaError):
        st.title("This store needs an upgrade", anchor=False)
        st.error(str(error), icon=":material/database:")
        st.code("tracker db upgrade", language="bash")
    elif isinstance(error, StoreError):
        st.title("The store cannot be read", anchor=False)
        st.error(str(error), icon=":material/database_off:")
        st.markdown("Check what lies there, or fill a new store and reload this page:")
        st.code("tracker db check\ntracker ingest path/to/results", language="bash")
        st.caption(f"Store: `{data.shown_store()}`")
    else:
        st.error(str(error), icon=":material/error:")


main()
