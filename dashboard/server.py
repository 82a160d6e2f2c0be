"""What `tracker dashboard` starts: the pages and the routes beside them, in one process."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from dashboard.routes import ROUTES

app = st.App(Path(__file__).parent / "streamlit_app.py", routes=ROUTES)
