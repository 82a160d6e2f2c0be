"""Everything the pages read, and the only cache.

An answer is cached under the store's URL and its stamp (`queries.version_stamp`), so an ingest
shows at the next rerun and an unchanged store answers from memory. Cached values are shared by
all sessions: they are frozen, and nobody changes them.
"""

from __future__ import annotations

import os
from pathlib import Path

import streamlit as st

from tracker.comparison import compare
from tracker.domain import (
    CalibrationBlock,
    ComparisonRow,
    GateInfo,
    Overview,
    ProjectInfo,
    RevisionInfo,
    SeriesHistory,
    SeriesInfo,
)
from tracker.store import Store, queries
from tracker.store.engine import parse_url, shown

__all__ = [
    "calibrations",
    "comparison",
    "gate",
    "gates",
    "history",
    "newest_revisions",
    "overview",
    "projects",
    "revision",
    "series",
    "series_list",
    "shown_store",
    "store_url",
]

_TTL = 600  # seconds; the stamp decides what is stale, this only frees memory
_STAMP_TTL = 2  # seconds between two looks at the store's stamp


def shown_store() -> str:
    """The store's URL as it may be shown: without its password."""
    return shown(parse_url(store_url()))


def store_url() -> str:
    """The store's URL, from PACEKEEPER_DB; else the tracker's own default."""
    return os.environ.get("PACEKEEPER_DB") or "sqlite:///pacekeeper.db"


@st.cache_resource(max_entries=4, show_spinner=False)
def _open(url: str, identity: str) -> Store:
    return Store.open(url, read_only=True)


@st.cache_data(ttl=_STAMP_TTL, max_entries=4, show_spinner=False)
def _stamp(url: str, identity: str) -> str:
    return queries.version_stamp(_open(url, identity))


def _identity(url: str) -> str:
    """Another file under the same name (restored, removed) must be opened anew."""
    path = url.removeprefix("sqlite:///") if url.startswith("sqlite:///") else ""
    if not path:
        return ""
    try:
        found = Path(path.partition("?")[0]).stat()
    except OSError:
        return "missing"
    return f"{found.st_dev}:{found.st_ino}"


def _key() -> tuple[str, str, str]:
    url = store_url()
    identity = _identity(url)
    return url, identity, _stamp(url, identity)


@st.cache_data(ttl=_TTL, max_entries=8, show_spinner=False)
def _projects(key: tuple[str, str, str]) -> tuple[ProjectInfo, ...]:
    return tuple(queries.list_projects(_open(*key[:2])))


def projects() -> tuple[ProjectInfo, ...]:
    """Every project, as the store lists them.

    Raises:
        StoreError: The store is missing, not a store, or of another schema.
    """
    return _projects(_key())


@st.cache_data(ttl=_TTL, max_entries=32, show_spinner="Reading the store …")
def _overview(key: tuple[str, str, str], project: str, machine: str | None) -> Overview:
    return queries.overview(_open(*key[:2]), project, machine=machine)


def overview(project: str, machine: str | None) -> Overview:
    """The first page of one project, of one machine or all."""
    return _overview(_key(), project, machine)


@st.cache_data(ttl=_TTL, max_entries=64, show_spinner="Reading the store …")
def _series_list(
    key: tuple[str, str, str], project: str, machine: str | None, search: str | None, limit: int
) -> tuple[SeriesInfo, ...]:
    return tuple(
        queries.list_series(_open(*key[:2]), project, machine=machine, search=search, limit=limit)
    )


def series_list(
    project: str, machine: str | None, search: str | None, *, limit: int
) -> tuple[SeriesInfo, ...]:
    """At most `limit` series of a project whose name holds `search`."""
    return _series_list(_key(), project, machine, search or None, limit)


@st.cache_data(ttl=_TTL, max_entries=256, show_spinner=False)
def _series(key: tuple[str, str, str], series_id: int) -> SeriesInfo:
    return queries.get_series(_open(*key[:2]), series_id)


def series(series_id: int) -> SeriesInfo:
    """One series.

    Raises:
        UsageError: There is none with this number.
    """
    return _series(_key(), series_id)


@st.cache_data(ttl=_TTL, max_entries=256, show_spinner="Reading the history …")
def _history(key: tuple[str, str, str], series_id: int, limit: int | None) -> SeriesHistory:
    return queries.history(_open(*key[:2]), series_id, limit=limit)


def history(series_id: int, *, limit: int | None = None) -> SeriesHistory:
    """The newest `limit` revisions of a series, oldest first."""
    return _history(_key(), series_id, limit)


@st.cache_data(ttl=_TTL, max_entries=32, show_spinner="Comparing …")
def _comparison(
    key: tuple[str, str, str], project: str, base: str, head: str, machine: str | None
) -> tuple[ComparisonRow, ...]:
    return tuple(compare(_open(*key[:2]), project, base, head, machine=machine))


def comparison(
    project: str, base: str, head: str, machine: str | None
) -> tuple[ComparisonRow, ...]:
    """Two revisions of a project, series by series, each change beside its noise."""
    return _comparison(_key(), project, base, head, machine)


@st.cache_data(ttl=_TTL, max_entries=32, show_spinner=False)
def _revisions(
    key: tuple[str, str, str], project: str, machine: str | None, limit: int
) -> tuple[RevisionInfo, ...]:
    return tuple(queries.newest_revisions(_open(*key[:2]), project, machine=machine, limit=limit))


def newest_revisions(
    project: str, machine: str | None, *, limit: int = 500
) -> tuple[RevisionInfo, ...]:
    """The newest measured revisions of a project, newest first."""
    return _revisions(_key(), project, machine, limit)


def revision(project: str, ref: str) -> RevisionInfo:
    """The revision that a full or abbreviated hash names.

    Raises:
        UsageError: None, or more than one.
    """
    url, identity, _ = _key()
    return queries.resolve_revision(_open(url, identity), project, ref)


@st.cache_data(ttl=_TTL, max_entries=16, show_spinner=False)
def _gates(key: tuple[str, str, str], project: str, limit: int) -> tuple[GateInfo, ...]:
    return tuple(queries.list_gates(_open(*key[:2]), project, limit=limit))


def gates(project: str, *, limit: int = 50) -> tuple[GateInfo, ...]:
    """The latest gates of a project, newest first."""
    return _gates(_key(), project, limit)


@st.cache_data(ttl=_TTL, max_entries=16, show_spinner=False)
def _calibrations(
    key: tuple[str, str, str], project: str, machine: str | None
) -> tuple[CalibrationBlock, ...]:
    return tuple(queries.calibration_blocks(_open(*key[:2]), project, machine=machine))


def calibrations(project: str, machine: str | None) -> tuple[CalibrationBlock, ...]:
    """The blocks of A/A gates of one machine or all, newest first."""
    return _calibrations(_key(), project, machine)


@st.cache_data(ttl=_TTL, max_entries=64, show_spinner=False)
def _gate(key: tuple[str, str, str], gate_id: str) -> GateInfo:
    return queries.get_gate(_open(*key[:2]), gate_id)


def gate(gate_id: str) -> GateInfo:
    """One gate with its verdicts.

    Raises:
        UsageError: There is none with this id.
    """
    return _gate(_key(), gate_id)
