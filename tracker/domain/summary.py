"""What pages, reports and exports list: runs, launches, machines, a project at a glance."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from tracker.domain.environment import MachineInfo
from tracker.domain.gate import CalibrationInfo, GateInfo
from tracker.domain.history import LevelShift, ProjectInfo, RevisionInfo, SeriesInfo
from tracker.domain.measurement import Arm, IngestProblemInfo, ResultStatus, RunSource
from tracker.domain.triage import AlertInfo


@dataclass(frozen=True, slots=True)
class RunInfo:
    """One run: a result file as it was read, with its results counted.

    `seconds` is what its benchmarks say that they took; None where none says.
    """

    id: int
    machine: str
    revision: RevisionInfo
    environment: str
    source: RunSource
    recorded_at: datetime
    path: str
    gate_id: str | None
    pair: int | None
    arm: Arm | None
    num_results: int
    num_failed: int  # not ok: failed, skipped or timed out
    seconds: float | None
    fingerprint: tuple[tuple[str, str], ...]  # sorted; empty where not known


@dataclass(frozen=True, slots=True)
class LaunchInfo:
    """A stored launch artifact and the run that it belongs to.

    `header` is the first line of the file at `path`, whose bytes have the sha256 `digest`.
    """

    id: int
    run_id: int
    benchmark: str
    machine: str
    environment: str
    revision: RevisionInfo
    source: RunSource
    recorded_at: datetime
    header: dict[str, object]
    path: str
    digest: str


@dataclass(frozen=True, slots=True)
class AttemptInfo:
    """One attempt at a series: its value and the run that it came with.

    `fingerprint` is sorted, and empty where it is not known or was not asked for.
    """

    revision_id: int
    status: ResultStatus
    value: float | None
    started_at: datetime | None
    run_id: int
    source: RunSource
    gate_id: str | None
    arm: Arm | None
    environment: str
    path: str
    fingerprint: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class MachineUse:
    """A machine of a project, how many series it measures and when it last did."""

    machine: MachineInfo
    num_series: int
    last_measured: datetime | None


@dataclass(frozen=True, slots=True)
class ExportRow:
    """One row of `tracker db export --rows`: the latest attempt at one parameter point."""

    machine: str
    commit: str
    env_name: str
    date_ms: int
    benchmark: str
    bench_version: str
    param_index: int
    params: tuple[str, ...]
    status: ResultStatus
    value: float | None


@dataclass(frozen=True, slots=True)
class Overview:
    """The first page: what is worse, since when, how fresh, how often the gate raised a false alarm."""

    project: ProjectInfo
    worse: tuple[tuple[SeriesInfo, LevelShift], ...]  # still worse than before, worst first
    better: tuple[tuple[SeriesInfo, LevelShift], ...]
    alerts: tuple[AlertInfo, ...]  # open and acked
    gates: tuple[GateInfo, ...]  # of two commits, latest first; A/A gates are counted below
    calibration: CalibrationInfo
    problems: tuple[IngestProblemInfo, ...]
    num_failed_last: int  # failed or timed-out results at the newest revision
    newest: RevisionInfo | None


@dataclass(frozen=True, slots=True)
class Week:
    """What happened in a project within a span of time, a week unless asked otherwise.

    Attributes:
        moved: Level shifts and drifts of the commits of that time, whatever their cause.
        alerts: Open and acked now, and those opened or changed then; newest first.
        gates: Started then, newest first, A/A gates included.
        num_runs: Result files stored then.
        num_commits: Commits that they measured.
    """

    project: str
    since: datetime
    until: datetime
    moved: tuple[tuple[SeriesInfo, LevelShift], ...]
    alerts: tuple[AlertInfo, ...]
    gates: tuple[GateInfo, ...]
    num_runs: int
    num_commits: int
