"""What was measured, as the readers produce it and the store keeps it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from tracker.domain.environment import Fingerprint
from tracker.domain.launch import Launch
from tracker.domain.metric import BenchmarkInfo

ResultStatus = Literal["ok", "failed", "skipped", "timeout"]
RunSource = Literal["ingest", "run", "gate", "calibration", "schedule"]
Arm = Literal["base", "head"]


@dataclass(slots=True, unsafe_hash=True)  # not frozen: that takes six times as long to make
class Measurement:
    """One value of one benchmark at one parameter point, out of one result file. Never changed."""

    benchmark: str
    version: str
    param_index: int
    params: tuple[str, ...]  # asv's reprs, one per parameter
    status: ResultStatus
    value: float | None
    ci_low: float | None = None
    ci_high: float | None = None
    q25: float | None = None
    q75: float | None = None
    number: int | None = None
    repeat: int | None = None
    samples: tuple[float, ...] | None = None
    started_at: datetime | None = None
    duration: float | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in an input that could not be read; it never stops the rest."""

    path: str
    reason: str
    benchmark: str | None = None


@dataclass(frozen=True, slots=True)
class ResultFile:
    """One asv result file: a commit, an environment, a machine, and what was measured."""

    path: str
    digest: str  # sha256 of the file's bytes, hex
    format_version: int
    machine: str
    commit: str
    committed_at: datetime
    env_name: str
    python: str | None
    requirements: dict[str, str] = field(default_factory=dict)
    env_vars: dict[str, str] = field(default_factory=dict)
    machine_fields: dict[str, str] = field(default_factory=dict)
    measurements: tuple[Measurement, ...] = ()
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class SeenFile:
    """A file as it was when it was read whole; while it stays so, it holds nothing new."""

    size: int  # bytes
    mtime_ns: int
    num_results: int = 0
    content: str | None = None  # sha256 of the bytes, hex; None: not known
    row_id: int | None = None  # where the store keeps it; None: nowhere yet


@dataclass(frozen=True, slots=True)
class RevisionRecord:
    """What git knows of a commit; fills in what a result file does not say.

    `parents` is None where they are not known, and empty for a root commit.
    """

    commit: str
    committed_at: datetime
    parents: tuple[str, ...] | None = None
    subject: str | None = None
    branch: str | None = None
    author: str | None = None  # the name alone


@dataclass(frozen=True, slots=True)
class NewRun:
    """A result file, with what it does not say itself.

    Attributes:
        benchmarks: By name; used where a benchmark's version is new.
        node: The member of the machine class that measured; None: not known.
    """

    file: ResultFile
    benchmarks: Mapping[str, BenchmarkInfo]
    source: RunSource = "ingest"
    fingerprint: Fingerprint | None = None
    launches: Sequence[Launch] = ()
    gate_id: str | None = None
    pair: int | None = None
    arm: Arm | None = None
    node: str | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """What writing one result file did: rows added, rows that stood there already.

    `problems` names results whose value differs from the one stored under the same series,
    revision and start time; the stored one is kept.
    """

    run_id: int
    added: int
    unchanged: int
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class IngestProblemInfo:
    path: str
    benchmark: str | None
    reason: str
    seen_at: datetime
