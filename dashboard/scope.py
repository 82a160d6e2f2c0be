"""What a page is about: the project and the machine, chosen once for all pages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import streamlit as st

from dashboard import data, url_state
from tracker.domain import ProjectInfo

__all__ = ["Scope", "choose"]

ALL = "all machines"


@dataclass(frozen=True, slots=True)
class Scope:
    """A project, and one of its machines or all of them (None)."""

    project: ProjectInfo
    machine: str | None

    def link(self, **more: str | int | None) -> dict[str, str]:
        """Query parameters of a link that stays within this scope."""
        params: dict[str, str | int | None] = {
            "project": self.project.name,
            "machine": self.machine,
            **more,
        }
        return {name: str(value) for name, value in params.items() if value is not None}


def choose(title: str) -> Scope:
    """Draw the page's title and the choice of project and machine; stop on an empty store.

    Raises:
        StoreError: The store cannot be read.
    """
    projects = data.projects()
    if not any(p.num_results for p in projects):
        _empty()
        st.stop()
    heading, choices = st.columns(2, vertical_alignment="bottom")
    with heading:
        st.title(title, anchor=False)
    # Two narrow boxes side by side on a phone too, where columns would stack.
    boxes = choices.container(horizontal=True, gap="small")
    names = [p.name for p in projects]
    freshest = max(projects, key=lambda p: p.last_measured or datetime.min.replace(tzinfo=UTC))
    wanted = url_state.keep("project", freshest.name)
    if wanted not in names:
        st.warning(f"The store has no project {wanted!r}; this is {freshest.name!r}.")
        wanted = freshest.name
    url_state.write("project", wanted)
    with boxes:
        name = url_state.select("Project", names, name="project", current=wanted or names[0])
    project = next(p for p in projects if p.name == name)
    with boxes:
        machine = st.selectbox(
            "Machine", [ALL, *project.machines], key="machine", bind="query-params"
        )
    return Scope(project=project, machine=None if machine == ALL else machine)


def _empty() -> None:
    st.title("Nothing measured yet", anchor=False)
    st.markdown(
        "This store is ready and empty. Fill it with the results of any asv project, or "
        "measure this machine's checkout:"
    )
    st.code("tracker ingest path/to/results", language="bash")
    st.code("tracker run HEAD~5..HEAD", language="bash")
    st.markdown("Or look around in a synthetic project first:")
    st.code("tracker demo", language="bash")
    st.caption(
        f"Store: `{data.shown_store()}`. This page fills by itself: reload after the ingest."
    )
