"""Everything the pages read, and the only cache.

An answer is cached under the store's URL and its stamp (`queries.version_stamp`), so an ingest
shows at the next rerun and an unchanged store answers from memory.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar, cast

import streamlit as st

from dashboard.headline import headline as headline_of
from tracker.artifacts import read_trace
from tracker.comparison import compare
from tracker.domain import (
    AccountInfo,
    AlertInfo,
    AttemptInfo,
    CalibrationBlock,
    CalibrationRecord,
    ComparisonRow,
    GateInfo,
    GateLaunch,
    IngestProblemInfo,
    JobInfo,
    LaunchInfo,
    LaunchTrace,
    MachineUse,
    Overview,
    ProjectInfo,
    RevisionInfo,
    Role,
    RunInfo,
    SearchedSeries,
    SeriesFilter,
    SeriesHistory,
    SeriesInfo,
    Week,
)
from tracker.explain.explanation import Explanation, from_document
from tracker.requests import base_of
from tracker.store import queries
from tracker.store.engine import parse_url, shown
from tracker.stored_findings import triaged_at
from tracker.triage import ALL_STATES, Triaged

_MOST = 512  # answers kept
_TTL = 600  # seconds; the stamp decides what is stale, this only frees memory
_STAMP_TTL = 2  # seconds between two looks at the store's stamp


def shown_store() -> str:
    """The store's URL as it may be shown: without its password."""
    return shown(parse_url(store_url()))


def store_url() -> str:
    """The store's URL, from PACEKEEPER_DB; else the tracker's own default."""
    return os.environ.get("PACEKEEPER_DB") or "sqlite:///pacekeeper.db"


@st.cache_resource(max_entries=4, show_spinner=False)
def _open(url: str, identity: str) -> queries.Reader:
    return queries.open_reader(url)


@st.cache_data(ttl=_STAMP_TTL, max_entries=4, show_spinner=False)
def _stamp(url: str, identity: str) -> str:
    return queries.version_stamp(_open(url, identity))


def _identity(url: str) -> str:
    """Another file under the same name (restored, removed) must be opened anew."""
    path = url.removeprefix("sqlite:///") if url.startswith("sqlite:///") else ""
    if not path:
        return ""
    try:
        file = Path(path.partition("?")[0]).stat()
    except OSError:
        return "missing"
    return f"{file.st_dev}:{file.st_ino}"


def _key() -> tuple[str, str, str]:
    url = store_url()
    identity = _identity(url)
    return url, identity, _stamp(url, identity)


def forget_stamp() -> None:
    """Look at the store again at the next question: this process has written to it."""
    _stamp.clear()


_P = ParamSpec("_P")
_T = TypeVar("_T")


@st.cache_data(ttl=_TTL, max_entries=_MOST, show_spinner="Reading the store …")
def _answer(
    key: tuple[str, str, str],
    question: str,
    args: tuple[object, ...],
    options: dict[str, object],
    _ask_store: Callable[..., object],
) -> object:
    # Streamlit leaves arguments with an underscore out of the cache's key: `question` names it.
    return _ask_store(_open(*key[:2]), *args, **options)


def _ask(
    question: Callable[Concatenate[queries.Reader, _P], _T], *args: _P.args, **options: _P.kwargs
) -> _T:
    """The answer to one of the store's questions, from memory while the store is the same."""
    name = f"{question.__module__}.{question.__qualname__}"
    return cast("_T", _answer(_key(), name, args, options, question))


def projects() -> Sequence[ProjectInfo]:
    """Every project, as the store lists them.

    Raises:
        StoreError: The store is missing, not a store, or of another schema.
    """
    return _ask(queries.list_projects)


def overview(project: str, machine: str | None) -> Overview:
    """The first page of one project, of one machine or all."""
    return _ask(queries.overview, project, machine=machine)


def series_list(
    project: str, machine: str | None, search: str | None, *, limit: int
) -> Sequence[SeriesInfo]:
    """At most `limit` series of a project whose name holds `search`."""
    return _ask(queries.list_series, project, machine=machine, search=search or None, limit=limit)


def headline(project: str, machine: str | None) -> dict[str, SeriesInfo]:
    """The few series that a first look at a project needs, by group: see `dashboard.headline`."""
    return _ask(_headline, project, machine)


def _headline(store: queries.Reader, project: str, machine: str | None) -> dict[str, SeriesInfo]:
    return headline_of(queries.list_series(store, project, machine=machine))


def series(series_id: int) -> SeriesInfo:
    """One series.

    Raises:
        UsageError: There is none with this number.
    """
    return _ask(queries.get_series, series_id)


def history(series_id: int, *, limit: int | None = None) -> SeriesHistory:
    """The newest `limit` revisions of a series, oldest first."""
    return _ask(queries.history, series_id, limit=limit)


def attempts(series_id: int, *, commit: str | None = None) -> Sequence[AttemptInfo]:
    """The launches behind the points of a series; with `commit` those at it, with their environment."""
    return _ask(queries.attempts, series_id, commit=commit)


def comparison(project: str, base: str, head: str, machine: str | None) -> Sequence[ComparisonRow]:
    """Two revisions of a project, series by series, each change beside its noise."""
    return _ask(compare, project, base, head, SeriesFilter(machine))


def newest_revisions(
    project: str, machine: str | None, *, limit: int = 500
) -> Sequence[RevisionInfo]:
    """The newest measured revisions of a project, newest first."""
    return _ask(queries.newest_revisions, project, machine=machine, limit=limit)


def revision(project: str, ref: str) -> RevisionInfo:
    """The revision that a full or abbreviated hash names.

    Raises:
        UsageError: None, or more than one.
    """
    return _ask(queries.resolve_revision, project, ref)


def gates(project: str, *, limit: int = 50, head: str | None = None) -> Sequence[GateInfo]:
    """The latest gates of a project, newest first; with `head` those that judged this commit."""
    return _ask(queries.list_gates, project, limit=limit, head=head)


def gate(gate_id: str) -> GateInfo:
    """One gate with its verdicts.

    Raises:
        UsageError: There is none with this id.
    """
    return _ask(queries.get_gate, gate_id)


def gate_page(gate_id: str) -> str:
    """The report of one gate as a static HTML page; not cached.

    Raises:
        UsageError: There is none with this id.
    """
    from tracker.stored_report import (
        gate_page,
    )  # the judge and scipy: only where a file is asked for

    with queries.open_reader(store_url()) as store:
        return gate_page(store, gate_id)


def calibrations(project: str, machine: str | None) -> Sequence[CalibrationBlock]:
    """The blocks of A/A gates of one machine or all, newest first."""
    return _ask(queries.calibration_blocks, project, machine=machine)


def triaged(project: str, commit: str) -> Sequence[Triaged]:
    """What triage has at one commit, worst first, with what paired runs say."""
    return _ask(triaged_at, project, commit)


def before(project: str, item: Triaged) -> RevisionInfo | None:
    """The commit that a finding is measured against; None where the store knows none."""
    return _ask(base_of, item)


def explanations(project: str, commit: str) -> Sequence[Explanation]:
    """The newest explanation of a commit of each machine and base, newest first."""
    stored = _ask(queries.list_explanations, project, head=commit)
    return [from_document(row.document) for row in stored]


def suspects(project: str, before: str, commit: str) -> Sequence[RevisionInfo]:
    """The stored commits after `before`, up to and with `commit`, newest first."""
    return _ask(queries.commits_between, project, before, commit)


def alerts(project: str, commit: str) -> Sequence[AlertInfo]:
    """Every alert that has to do with one commit, in any state, newest first."""
    return _ask(queries.alerts_at, project, commit)


def all_alerts(project: str) -> Sequence[AlertInfo]:
    """Every alert of a project in any state, merged ones included, newest first."""
    return _ask(queries.list_alerts, project, states=ALL_STATES, merged=True)


def open_alerts(project: str) -> Sequence[AlertInfo]:
    """The open and acked alerts of a project, newest first."""
    return _ask(queries.list_alerts, project)


def jobs(project: str, commit: str) -> Sequence[JobInfo]:
    """What people asked the service for about one commit, newest first."""
    return _ask(queries.list_jobs, project, commit=commit)


def role(email: str) -> Role | None:
    """The role of an e-mail address; None: it has none."""
    return _ask(queries.role_of, email)


def accounts() -> Sequence[AccountInfo]:
    """Every account, by e-mail address."""
    return _ask(queries.list_accounts)


def calibration_records(project: str, machine: str | None) -> Sequence[CalibrationRecord]:
    """The A/A gates of each machine, counted up to the end of each day that had one."""
    return _ask(queries.calibration_records, project, machine=machine)


def searched_series(project: str) -> SearchedSeries:
    """How many series were searched for level shifts, and what was found."""
    return _ask(queries.searched_series, project)


def launches(project: str, machine: str | None, *, limit: int = 300) -> Sequence[GateLaunch]:
    """The newest launches of gates, oldest first."""
    return _ask(queries.gate_launches, project, machine=machine, limit=limit)


def newest_launches(
    project: str,
    machine: str | None,
    *,
    commits: Sequence[str] = (),
    of_gates: bool = True,
    limit: int = 200,
) -> Sequence[LaunchInfo]:
    """The launch artifacts stored last, newest first; with `commits` those of these commits."""
    return _ask(
        queries.newest_launches,
        project,
        machine=machine,
        commits=tuple(commits),
        of_gates=of_gates,
        limit=limit,
    )


@st.cache_data(max_entries=32, show_spinner="Reading the launch …")
def launch_trace(path: str, digest: str) -> LaunchTrace | None:
    """The requests and telemetry of a launch; None where this machine lacks the stored file."""
    return read_trace(Path(path), digest=digest) if path else None


def runs(project: str, machine: str | None, *, limit: int = 50) -> Sequence[RunInfo]:
    """The runs recorded last, newest first."""
    return _ask(queries.newest_runs, project, machine=machine, limit=limit)


def machines(project: str) -> Sequence[MachineUse]:
    """The machines of a project, with their last result."""
    return _ask(queries.machine_uses, project)


def problems(project: str) -> Sequence[IngestProblemInfo]:
    """What could not be read and still cannot, newest first."""
    return _ask(queries.ingest_problems, project)


def week(project: str, machine: str | None, *, until: datetime, days: int) -> Week:
    """What happened in the `days` before `until`."""
    return _ask(queries.week, project, machine=machine, until=until, days=days)
