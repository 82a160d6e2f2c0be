"""The tables. Rows hold foreign keys, not strings; unique natural keys make writing idempotent.

::

    project ─┬─ machine ────┐
             ├─ benchmark ──┼─ series ──┐                 (param_point joins series too)
             ├─ revision ───┼───────────┼─ result ── sample
             └─ gate ── run ┴───────────┘
                  └ verdict

`series` and `revision` carry counters (`num_results`, `last_value`, ...) that the transaction
which adds results also moves: a page over a million results reads them instead of counting.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    Integer,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from tracker.store.base import Base, Doubles, Json, UtcDateTime

# SQLite numbers rows by itself only in a column of type INTEGER.
BigId = BigInteger().with_variant(Integer, "sqlite")


class Project(Base):
    """A repository whose benchmarks are kept."""

    __tablename__ = "project"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(Text, unique=True)
    commit_url: Mapped[str | None] = mapped_column(Text)  # template with {commit}
    metric_rules: Mapped[str | None] = mapped_column(Text)  # `tracker.metrics.rules_to_text`


class Machine(Base):
    """A machine as asv names it within a project."""

    __tablename__ = "machine"
    __table_args__ = (UniqueConstraint("project_id", "name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    name: Mapped[str] = mapped_column(Text)
    arch: Mapped[str | None] = mapped_column(Text)
    cpu: Mapped[str | None] = mapped_column(Text)
    num_cpu: Mapped[str | None] = mapped_column(Text)
    os: Mapped[str | None] = mapped_column(Text)
    ram: Mapped[str | None] = mapped_column(Text)


class FingerprintRow(Base):
    """Everything beside the code that can move a number; equal ones share a row."""

    __tablename__ = "fingerprint"

    id: Mapped[int] = mapped_column(primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    gpu_model: Mapped[str | None] = mapped_column(Text)
    gpu_count: Mapped[int | None]
    driver: Mapped[str | None] = mapped_column(Text)
    cuda: Mapped[str | None] = mapped_column(Text)
    torch: Mapped[str | None] = mapped_column(Text)
    triton: Mapped[str | None] = mapped_column(Text)
    asv: Mapped[str | None] = mapped_column(Text)
    asv_runner: Mapped[str | None] = mapped_column(Text)
    python: Mapped[str | None] = mapped_column(Text)
    cpu: Mapped[str | None] = mapped_column(Text)
    num_cpu: Mapped[int | None]
    os: Mapped[str | None] = mapped_column(Text)
    threads: Mapped[int | None]
    clocks_policy: Mapped[str | None] = mapped_column(Text)
    extra: Mapped[Any] = mapped_column(Json)  # [[name, value], ...], sorted


class Revision(Base):
    """A commit of a project. `num_results` counts the results measured at it."""

    __tablename__ = "revision"
    __table_args__ = (
        UniqueConstraint("project_id", "commit_hash"),
        Index(None, "project_id", "committed_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    commit_hash: Mapped[str] = mapped_column(Text)
    committed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    parents: Mapped[Any | None] = mapped_column(Json)  # list of hashes; None: not known
    subject: Mapped[str | None] = mapped_column(Text)
    branch: Mapped[str | None] = mapped_column(Text)
    author: Mapped[str | None] = mapped_column(Text)  # the name alone
    num_results: Mapped[int] = mapped_column(default=0)


class Benchmark(Base):
    """A benchmark at one version; another version is another benchmark."""

    __tablename__ = "benchmark"
    __table_args__ = (UniqueConstraint("project_id", "name", "version"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    name: Mapped[str] = mapped_column(Text)
    version: Mapped[str] = mapped_column(Text)
    type: Mapped[str] = mapped_column(String(16))
    unit: Mapped[str] = mapped_column(Text)
    better: Mapped[str | None] = mapped_column(String(8))
    kind: Mapped[str] = mapped_column(String(16))
    step: Mapped[float]
    param_names: Mapped[Any] = mapped_column(Json)


class ParamPoint(Base):
    """One combination of parameters, as asv's reprs; the empty one serves plain benchmarks."""

    __tablename__ = "param_point"

    id: Mapped[int] = mapped_column(primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    params: Mapped[Any] = mapped_column(Json)


class Series(Base):
    """A line on a chart. The last six columns follow from its results (`store.derived`)."""

    __tablename__ = "series"
    __table_args__ = (
        UniqueConstraint("benchmark_id", "param_point_id", "machine_id", "environment"),
        Index(None, "project_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    benchmark_id: Mapped[int] = mapped_column(ForeignKey("benchmark.id"))
    param_point_id: Mapped[int] = mapped_column(ForeignKey("param_point.id"))
    machine_id: Mapped[int] = mapped_column(ForeignKey("machine.id"))
    environment: Mapped[str] = mapped_column(Text)
    num_results: Mapped[int] = mapped_column(default=0)
    num_points: Mapped[int] = mapped_column(default=0)  # revisions with a result
    last_committed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_value: Mapped[float | None]  # median of that revision's ok attempts
    last_measured_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Gate(Base):
    """Two commits measured against each other until decided."""

    __tablename__ = "gate"
    __table_args__ = (Index(None, "project_id", "started_at"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    machine_id: Mapped[int] = mapped_column(ForeignKey("machine.id"))
    base_id: Mapped[int] = mapped_column(ForeignKey("revision.id"))
    head_id: Mapped[int] = mapped_column(ForeignKey("revision.id"))
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    exit_code: Mapped[int | None]
    pairs: Mapped[int] = mapped_column(default=0)
    policy: Mapped[Any] = mapped_column(Json)
    outcome: Mapped[str | None] = mapped_column(String(16))
    course: Mapped[Any | None] = mapped_column(Json)  # what the pairs do not tell


class Run(Base):
    """One asv result file as it stood when it was read; every attempt is kept."""

    __tablename__ = "run"
    __table_args__ = (
        UniqueConstraint("project_id", "digest"),
        Index(None, "project_id", "id"),
        Index(None, "revision_id"),
        Index(None, "gate_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    machine_id: Mapped[int] = mapped_column(ForeignKey("machine.id"))
    revision_id: Mapped[int] = mapped_column(ForeignKey("revision.id"))
    fingerprint_id: Mapped[int | None] = mapped_column(ForeignKey("fingerprint.id"))
    digest: Mapped[str] = mapped_column(String(64))  # sha256 of the file's bytes
    path: Mapped[str] = mapped_column(Text)
    env_name: Mapped[str] = mapped_column(Text)  # as asv wrote it
    python: Mapped[str | None] = mapped_column(Text)
    requirements: Mapped[Any | None] = mapped_column(Json)  # name -> version; None: not known
    env_vars: Mapped[Any | None] = mapped_column(Json)  # name -> value
    format_version: Mapped[int]
    source: Mapped[str] = mapped_column(String(16))
    recorded_at: Mapped[datetime] = mapped_column(UtcDateTime)
    gate_id: Mapped[str | None] = mapped_column(ForeignKey("gate.id"))
    pair: Mapped[int | None]
    arm: Mapped[str | None] = mapped_column(String(8))
    node: Mapped[str | None] = mapped_column(
        Text
    )  # the member of the machine class; None: not known
    job_key: Mapped[str | None] = mapped_column(Text)  # idempotency key of the job that measured it


class Result(Base):
    """One value of one series at one revision, out of one run.

    `attempt_key` makes (series, revision, start time) unique where the start is not known:
    milliseconds since 1970, else a negative number made of status and value.
    """

    __tablename__ = "result"
    __table_args__ = (
        UniqueConstraint("series_id", "revision_id", "attempt_key"),
        Index(None, "revision_id"),
        Index(None, "run_id"),
        CheckConstraint("(status = 'ok') = (value IS NOT NULL)", name="value_iff_ok"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    series_id: Mapped[int] = mapped_column(ForeignKey("series.id"))
    revision_id: Mapped[int] = mapped_column(ForeignKey("revision.id"))
    attempt_key: Mapped[int] = mapped_column(BigInteger)
    run_id: Mapped[int] = mapped_column(ForeignKey("run.id"))
    param_index: Mapped[int]
    status: Mapped[str] = mapped_column(String(8))
    value: Mapped[float | None]
    ci_low: Mapped[float | None]
    ci_high: Mapped[float | None]
    q25: Mapped[float | None]
    q75: Mapped[float | None]
    number: Mapped[int | None] = mapped_column(BigInteger)
    repeat: Mapped[int | None] = mapped_column(BigInteger)
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    duration: Mapped[float | None]


class Sample(Base):
    """The raw samples behind one result, in the order they were taken."""

    __tablename__ = "sample"

    result_id: Mapped[int] = mapped_column(
        BigId, ForeignKey("result.id"), primary_key=True, autoincrement=False
    )
    values: Mapped[tuple[float, ...]] = mapped_column(Doubles)


class Artifact(Base):
    """A launch artifact that belongs to a run: its header; the lines below stay on disk."""

    __tablename__ = "artifact"
    __table_args__ = (
        UniqueConstraint("project_id", "digest"),
        Index(None, "project_id", "id"),
        Index(None, "run_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    run_id: Mapped[int] = mapped_column(ForeignKey("run.id"))
    launch_id: Mapped[str] = mapped_column(Text)
    digest: Mapped[str] = mapped_column(String(64))
    path: Mapped[str] = mapped_column(Text)
    benchmark: Mapped[str] = mapped_column(Text)
    header: Mapped[Any] = mapped_column(Json)


class ChangePoint(Base):
    """A level shift: derived, rebuilt whole for a series at a time.

    `cause` is "code" unless the level moved where the environment did.
    """

    __tablename__ = "change_point"
    __table_args__ = (UniqueConstraint("series_id", "revision_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    series_id: Mapped[int] = mapped_column(ForeignKey("series.id"))
    revision_id: Mapped[int] = mapped_column(ForeignKey("revision.id"))
    before: Mapped[float]
    after: Mapped[float]
    effect: Mapped[float]
    algorithm: Mapped[str] = mapped_column(Text)
    is_latest: Mapped[bool]  # the newest shift of its series that the code brought
    previous_id: Mapped[int | None] = mapped_column(ForeignKey("revision.id"))
    recovered: Mapped[bool] = mapped_column(default=False)
    cause: Mapped[str] = mapped_column(Text, default="code")
    drift_commits: Mapped[int | None]  # NULL: a level shift


class Detection(Base):
    """What the search that found a series' level shifts went by, and what it counted.

    Derived: where there is none, or its basis is no longer the series', the search is due.
    """

    __tablename__ = "detection"

    series_id: Mapped[int] = mapped_column(
        ForeignKey("series.id"), primary_key=True, autoincrement=False
    )
    basis: Mapped[str] = mapped_column(String(64))
    num_points: Mapped[int]
    num_missing: Mapped[int]
    num_segments: Mapped[int]


class Verdict(Base):
    """What a gate said of one metric."""

    __tablename__ = "verdict"
    __table_args__ = (UniqueConstraint("gate_id", "metric"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    gate_id: Mapped[str] = mapped_column(ForeignKey("gate.id"))
    metric: Mapped[str] = mapped_column(Text)
    unit: Mapped[str] = mapped_column(Text)
    better: Mapped[str | None] = mapped_column(String(8))
    kind: Mapped[str] = mapped_column(String(16))
    status: Mapped[str] = mapped_column(String(16))
    effect: Mapped[float | None]
    low: Mapped[float | None]
    high: Mapped[float | None]
    pairs: Mapped[int]
    base: Mapped[float | None]
    head: Mapped[float | None]
    mde: Mapped[float | None]
    reason: Mapped[str] = mapped_column(Text)


class Alert(Base):
    """Something a person should look at; the same key never opens twice."""

    __tablename__ = "alert"
    __table_args__ = (UniqueConstraint("project_id", "key"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    key: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(16))
    title: Mapped[str] = mapped_column(Text)
    detail: Mapped[str] = mapped_column(Text)
    revision_id: Mapped[int | None] = mapped_column(ForeignKey("revision.id"))
    num_series: Mapped[int]
    worst_effect: Mapped[float | None]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    note: Mapped[str | None] = mapped_column(Text)  # the log of versions before 0009; read only
    machine_id: Mapped[int | None] = mapped_column(ForeignKey("machine.id"))
    placed_id: Mapped[int | None] = mapped_column(
        ForeignKey("revision.id")
    )  # where a person moved it
    metrics: Mapped[Any | None] = mapped_column(Json)  # names; None: all that no other alert has
    merged_into: Mapped[str | None] = mapped_column(Text)  # key of an alert of the project
    assignee: Mapped[str | None] = mapped_column(Text)
    issue: Mapped[str | None] = mapped_column(Text)
    until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    fixed_by: Mapped[str | None] = mapped_column(Text)  # full hash


class AlertEventRow(Base):
    """One thing that happened to an alert. Rows are added, never changed or deleted.

    `id` begins with the time in nanoseconds: ordered by it, events stand as they happened.
    """

    __tablename__ = "alert_event"
    __table_args__ = (Index(None, "alert_id"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    alert_id: Mapped[int] = mapped_column(ForeignKey("alert.id"))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    actor: Mapped[str | None] = mapped_column(Text)  # None: the tracker itself
    action: Mapped[str] = mapped_column(String(16))
    text: Mapped[str] = mapped_column(Text)


class Delivery(Base):
    """A message about an alert on its way to one place; once for each stage of the alert.

    It is `waiting`, `delivered`, or `dropped` because the alert went on before. A process that sends
    it holds it until `claimed_until`; one that is killed holds it no longer than that.
    """

    __tablename__ = "delivery"
    __table_args__ = (UniqueConstraint("alert_id", "sink", "stage"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    alert_id: Mapped[int] = mapped_column(ForeignKey("alert.id"))
    sink: Mapped[str] = mapped_column(String(16))
    stage: Mapped[str] = mapped_column(String(32))
    state: Mapped[str] = mapped_column(String(16))
    attempts: Mapped[int] = mapped_column(default=0)
    next_at: Mapped[datetime] = mapped_column(UtcDateTime)
    claimed_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    reference: Mapped[str | None] = mapped_column(
        Text
    )  # what the place calls it: an issue's number
    error: Mapped[str | None] = mapped_column(Text)  # of the last attempt


class Job(Base):
    """Work for a machine class: asked for by a person, or queued by the service.

    `active_key` is the digest of what is asked while it waits or runs, so that the same work is
    not queued twice; NULL afterwards. `attempts` is the number of the present attempt: only the
    process that has this number may write (`tracker.store.writes.jobs.require_claim`).
    """

    __tablename__ = "job"
    __table_args__ = (UniqueConstraint("active_key"), Index(None, "revision_id"))

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    machine_id: Mapped[int] = mapped_column(ForeignKey("machine.id"))
    revision_id: Mapped[int] = mapped_column(ForeignKey("revision.id"))
    kind: Mapped[str] = mapped_column(String(16))
    arguments: Mapped[Any] = mapped_column(Json)
    state: Mapped[str] = mapped_column(String(16))
    active_key: Mapped[str | None] = mapped_column(String(64))
    asked_by: Mapped[str] = mapped_column(Text)
    asked_at: Mapped[datetime] = mapped_column(UtcDateTime)
    taken_by: Mapped[str | None] = mapped_column(Text)  # the service
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # of the present attempt
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    attempts: Mapped[int] = mapped_column(default=0)
    result: Mapped[str | None] = mapped_column(Text)
    gate_id: Mapped[str | None] = mapped_column(ForeignKey("gate.id"))
    priority: Mapped[int] = mapped_column(default=0)  # lowest number first
    executor: Mapped[str | None] = mapped_column(Text)  # name in pacekeeper.toml
    handle: Mapped[str | None] = mapped_column(Text)  # what the executor calls it
    node: Mapped[str | None] = mapped_column(Text)
    note: Mapped[str | None] = mapped_column(Text)  # why it waits, or what became of an attempt
    seconds: Mapped[float] = mapped_column(default=0.0)  # of all ended attempts


class ServiceTask(Base):
    """When a task of a service last ran: its times are computed from it."""

    __tablename__ = "service_task"
    __table_args__ = (UniqueConstraint("project_id", "service", "name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    service: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    due_at: Mapped[datetime] = mapped_column(UtcDateTime)  # the time that the last run was for
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    problem: Mapped[str | None] = mapped_column(Text)  # of the last run


class NodeQuarantine(Base):
    """A member of a machine class that gets no jobs until somebody releases it."""

    __tablename__ = "node_quarantine"
    __table_args__ = (UniqueConstraint("machine_id", "node"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    machine_id: Mapped[int] = mapped_column(ForeignKey("machine.id"))
    node: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    set_by: Mapped[str] = mapped_column(Text)
    set_at: Mapped[datetime] = mapped_column(UtcDateTime)
    released_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Account(Base):
    """What an e-mail address may do in the dashboard."""

    __tablename__ = "account"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(Text, unique=True)  # lower case
    role: Mapped[str] = mapped_column(String(8))
    added_at: Mapped[datetime] = mapped_column(UtcDateTime)
    added_by: Mapped[str] = mapped_column(Text)


class Calibration(Base):
    """A block of A/A gates: how many, and how many called a regression."""

    __tablename__ = "calibration"
    __table_args__ = (UniqueConstraint("project_id", "machine_id", "started_at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    machine_id: Mapped[int] = mapped_column(ForeignKey("machine.id"))
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    gates: Mapped[int]
    false_blocks: Mapped[int]
    policy: Mapped[Any] = mapped_column(Json)


class ExpectationRow(Base):
    """An intended change of one metric: `key` is the metric and, if given, the commit that brings it."""

    __tablename__ = "expectation"
    __table_args__ = (UniqueConstraint("project_id", "key"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    key: Mapped[str] = mapped_column(Text)
    metric: Mapped[str] = mapped_column(Text)
    change: Mapped[float]
    because: Mapped[str] = mapped_column(Text)
    commit_hash: Mapped[str | None] = mapped_column(Text)
    until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ExplanationRow(Base):
    """Where the time of one commit went compared to another's: the newest of each machine."""

    __tablename__ = "explanation"
    __table_args__ = (UniqueConstraint("project_id", "machine", "base_hash", "head_hash"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    machine: Mapped[str] = mapped_column(String(255))
    base_hash: Mapped[str] = mapped_column(String(64))
    head_hash: Mapped[str] = mapped_column(String(64), index=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    document: Mapped[Any] = mapped_column(Json)  # as `tracker explain --format json` prints it


class QuarantineRow(Base):
    """A GPU whose launches do not count, of any project, until it is released."""

    __tablename__ = "quarantine"
    __table_args__ = (UniqueConstraint("gpu", "since"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    gpu: Mapped[str] = mapped_column(String(64))  # UUID
    machine: Mapped[str] = mapped_column(Text)
    model: Mapped[str | None] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    since: Mapped[datetime] = mapped_column(UtcDateTime)
    released_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    released_because: Mapped[str | None] = mapped_column(Text)


class SeenFile(Base):
    """A file that was read whole and without a problem: unchanged, it is not read again.

    A cache: without its row a file is read, and found to hold nothing new. `digest` stands for the
    path and for what was given beside the file; of two rows of one file the newer counts. An ingest
    reads all rows of its project, so there is no index: entries at random places of one would cost
    more than the rows. `content` is the sha256 of the bytes, for a file whose time has changed, as in
    a fresh checkout; NULL where it is not known.
    """

    __tablename__ = "seen_file"

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    digest: Mapped[str] = mapped_column(String(64))
    size: Mapped[int] = mapped_column(BigInteger)  # bytes
    mtime_ns: Mapped[int] = mapped_column(BigInteger)
    num_results: Mapped[int]
    content: Mapped[str | None] = mapped_column(String(64))


class IngestProblem(Base):
    """Something in an input that could not be read; gone once the file reads cleanly.

    `digest` stands for (path, benchmark, reason): texts too long to index.
    """

    __tablename__ = "ingest_problem"
    __table_args__ = (UniqueConstraint("project_id", "digest"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    digest: Mapped[str] = mapped_column(String(64))
    path: Mapped[str] = mapped_column(Text)
    benchmark: Mapped[str | None] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ApiToken(Base):
    """What a program may do over HTTP, and until when; the token itself is not kept.

    `digest` is the SHA-256 of the secret: 256 random bits need no slow hash. `project` is a name,
    since a token may be made before its project's first result; NULL: every project.
    """

    __tablename__ = "api_token"

    id: Mapped[int] = mapped_column(primary_key=True)
    prefix: Mapped[str] = mapped_column(String(16), unique=True)
    digest: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(Text)
    scopes: Mapped[Any] = mapped_column(Json)
    project: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class ApiPush(Base):
    """What was answered to a push of results, for the client that sends it again.

    `digest` is that of the request.
    """

    __tablename__ = "api_push"
    __table_args__ = (UniqueConstraint("project_id", "key"), Index(None, "created_at"))

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    key: Mapped[str] = mapped_column(String(128))
    digest: Mapped[str] = mapped_column(String(64))
    answer: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
