"""The choice of two commits, base and head, kept in the URL."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from dashboard import data, scope, tables, url_state
from dashboard.markup import plain
from tracker.domain import RevisionInfo
from tracker.errors import UsageError

__all__ = ["choose_two", "commit_markdown"]


def commit_markdown(here: scope.Scope, commit: str) -> str:
    """A commit's abbreviated hash, linked where the project has a template."""
    link = tables.commit_link(here.project.commit_url, commit)
    return f"[`{commit[:10]}`]({link})" if link else f"`{commit[:10]}`"


def choose_two(here: scope.Scope, newest_first: Sequence[RevisionInfo]) -> tuple[str, str]:
    """Draw the two boxes and return the hashes of base and head.

    Args:
        here: Of the page.
        newest_first: What is listed, at least one; a commit that the URL names joins it.
    """
    revisions = {revision.commit: revision for revision in newest_first}
    head = _pick(here, revisions, "head", default=next(iter(revisions)))
    older = list(revisions)
    after = older.index(head) + 1 if head in older else 1
    base = _pick(here, revisions, "base", default=older[after] if after < len(older) else older[-1])
    commits = list(revisions)

    def show(commit: str) -> str:
        one = revisions[commit]
        return " · ".join(filter(None, [commit[:10], f"{one.committed_at:%Y-%m-%d}", one.subject]))

    left, right = st.columns(2)
    with left:
        base = url_state.select("Base", commits, name="base", current=base, show=show)
    with right:
        head = url_state.select("Head", commits, name="head", current=head, show=show)
    return base, head


def _pick(here: scope.Scope, revisions: dict[str, RevisionInfo], name: str, *, default: str) -> str:
    """The commit that the URL names, in full or abbreviated; it joins the list if it is older."""
    wanted = url_state.read(name)
    commit = default
    if wanted:
        try:
            revision = data.revision(here.project.name, wanted)
            revisions.setdefault(revision.commit, revision)
            commit = revision.commit
        except UsageError as error:
            st.warning(plain(str(error)))
    url_state.write(name, commit)
    return commit
