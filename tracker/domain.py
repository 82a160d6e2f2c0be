"""The values that travel between the rooms of the tracker: frozen, free of I/O.

Seconds, bytes and ratios are base units; times are timezone-aware UTC; `None` means "not
known", never zero. A `*Info` names a thing that the store keeps, a row of a table or a chart.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

Better = Literal["lower", "higher"]
Kind = Literal["timing", "rate", "utilization", "energy", "exact", "other"]
ResultStatus = Literal["ok", "failed", "skipped", "timeout"]
VerdictStatus = Literal["pass", "regression", "improvement", "inconclusive"]
Outcome = Literal[
    "pass", "improvement", "regression", "broken", "inconclusive", "invalid", "infrastructure"
]
AlertState = Literal["open", "acked", "expected", "resolved", "fixed"]
Role = Literal["reader", "triager", "admin"]
JobKind = Literal["confirm", "bisect", "verify fix"]
DeliveryState = Literal["waiting", "delivered", "dropped"]
JobState = Literal["queued", "running", "done", "failed"]
RunSource = Literal["ingest", "run", "gate", "calibration", "schedule"]
Arm = Literal["base", "head"]
Noise = Literal["beyond", "within", "unknown"]
TokenScope = Literal["ingest", "read", "settings"]
Cause = Literal["code", "measuring tool", "dependency", "driver", "hardware", "node", "noise"]


def metric_name(benchmark: str, params: tuple[str, ...]) -> str:
    """Return the name of a judged metric: asv's benchmark name, then its parameters if any."""
    return f"{benchmark}({', '.join(params)})" if params else benchmark


# --- read from asv's files (tracker.asvfmt produces these, tracker.store keeps them) ---------


@dataclass(frozen=True, slots=True)
class BenchmarkInfo:
    """What a results directory says of one benchmark at one version.

    `better` is None for a metric without a stated direction: it is shown and compared, and
    never judged. `kind` "other" is judged as noisy. `step` is the change below which an exact
    metric counts as equal.
    """

    name: str
    version: str
    type: str  # asv's: time, timeraw, memory, peakmemory, track
    unit: str
    better: Better | None
    kind: Kind
    param_names: tuple[str, ...] = ()
    step: float = 0.0


@dataclass(frozen=True, slots=True)
class MachineInfo:
    """asv's `machine.json`: strings as they stand there, None where absent."""

    name: str
    arch: str | None = None
    cpu: str | None = None
    num_cpu: str | None = None
    os: str | None = None
    ram: str | None = None


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
class Fingerprint:
    """Everything beside the code that can move a number. None is "absent or unknown"."""

    gpu_model: str | None = None
    gpu_count: int | None = None
    driver: str | None = None
    cuda: str | None = None
    torch: str | None = None
    triton: str | None = None
    asv: str | None = None
    asv_runner: str | None = None
    python: str | None = None
    cpu: str | None = None
    num_cpu: int | None = None
    os: str | None = None
    threads: int | None = None
    clocks_policy: str | None = None
    extra: tuple[tuple[str, str], ...] = ()  # sorted (name, value): requirements, env_vars


@dataclass(frozen=True, slots=True)
class Launch:
    """The first line of a launch artifact: one engine launch of one scenario."""

    path: str
    digest: str
    launch_id: str
    benchmark: str  # the suite class whose track_* methods read it: "bench_serving.MixedC4"
    fingerprint: Fingerprint
    header: dict[str, object]  # the whole first line, as written


@dataclass(frozen=True, slots=True)
class RequestTimes:
    """When a request was handed in and what came of it, seconds on one clock.

    The one definition of the latencies of a request. A latency is None where there is no token, and
    where the reply was not streamed: the whole of it is then no first token.

    Attributes:
        submitted: Handed in; in an open loop, and over HTTP, when it was due.
        token_times: When each output token was available to the caller; empty where chunks carried
            several tokens, so that the times of single tokens are not known.
        chunk_times: When each chunk that carried a token came; empty where there are no chunks.
        num_tokens: Output tokens where `token_times` is empty; None: not known.
        streamed: Whether tokens could be seen before the last.
    """

    submitted: float
    token_times: tuple[float, ...]
    chunk_times: tuple[float, ...] = ()
    num_tokens: int | None = None
    streamed: bool = True

    @property
    def arrivals(self) -> tuple[float, ...]:
        """When tokens came, as finely as it is known."""
        return self.token_times or self.chunk_times

    @property
    def output_tokens(self) -> int | None:
        """How many tokens came out; None where it is not known."""
        if self.token_times or not self.chunk_times:
            return len(self.token_times)
        return self.num_tokens

    @property
    def ttft(self) -> float | None:
        """Time to first token: first token available - submitted."""
        return self.arrivals[0] - self.submitted if self.streamed and self.arrivals else None

    @property
    def tpot(self) -> float | None:
        """Time per output token: (last - first token) / (n - 1); None with fewer than two."""
        n = self.output_tokens
        if not self.streamed or n is None or n < 2:
            return None
        return (self.arrivals[-1] - self.arrivals[0]) / (n - 1)

    @property
    def e2e(self) -> float | None:
        """Last token available - submitted."""
        return self.arrivals[-1] - self.submitted if self.arrivals else None

    @property
    def gaps(self) -> tuple[float, ...]:
        """Seconds between consecutive tokens; none where the tokens' times are not known."""
        return tuple(b - a for a, b in itertools.pairwise(self.token_times))

    @property
    def chunk_gaps(self) -> tuple[float, ...]:
        """Seconds between consecutive chunks, which may carry several tokens each."""
        return tuple(b - a for a, b in itertools.pairwise(self.chunk_times))


@dataclass(frozen=True, slots=True)
class LaunchTrace:
    """The lines below the header of a launch artifact; seconds count from the launch's start.

    Attributes:
        requests: Those that gave a token, in the order of the file.
        telemetry: A mapping a sample: "time" and whatever the device said then (`tracker.load.nvml`
            has the names and units); None for what it does not say.
    """

    requests: tuple[RequestTimes, ...]
    telemetry: tuple[dict[str, object], ...] = ()


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
    """

    file: ResultFile
    benchmarks: Mapping[str, BenchmarkInfo]
    source: RunSource = "ingest"
    fingerprint: Fingerprint | None = None
    launches: Sequence[Launch] = ()
    gate_id: str | None = None
    pair: int | None = None
    arm: Arm | None = None


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


# --- what the store answers ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ProjectInfo:
    name: str
    num_results: int
    num_series: int
    num_revisions: int
    machines: tuple[str, ...]
    last_measured: datetime | None
    commit_url: str | None = None  # template with {commit}


@dataclass(frozen=True, slots=True)
class RevisionInfo:
    id: int
    commit: str
    committed_at: datetime
    subject: str | None = None
    branch: str | None = None
    author: str | None = None


@dataclass(frozen=True, slots=True)
class SeriesInfo:
    """A line on a chart: benchmark (name and version) x parameter point x machine x environment."""

    id: int
    project: str
    benchmark: str
    version: str
    unit: str
    better: Better | None
    kind: Kind
    params: tuple[str, ...]
    param_names: tuple[str, ...]
    machine: str
    environment: str
    num_points: int
    last_value: float | None = None
    last_measured: datetime | None = None
    step: float = 0.0  # change below which an exact metric counts as equal

    @property
    def metric(self) -> str:
        """The series' name in gates and reports: `module.track_x` or `module.track_x(1, 'a')`."""
        return metric_name(self.benchmark, self.params)


@dataclass(slots=True, unsafe_hash=True)  # not frozen: that takes four times as long to make
class Point:
    """One revision of one series: the latest attempt, with how many there were. Never changed."""

    revision: RevisionInfo
    value: float | None
    status: ResultStatus
    ci_low: float | None
    ci_high: float | None
    num_attempts: int
    measured_at: datetime | None
    fingerprint_id: int | None


@dataclass(frozen=True, slots=True)
class LevelShift:
    """A change point: `revision` is the first commit of the new level.

    A drift is a trend with no step, from `revision` to the newest commit; `before` and `after` are
    its ends.
    """

    series_id: int
    revision: RevisionInfo
    before: float
    after: float
    effect: float  # after/before - 1, signed as measured
    worse: bool | None  # None where the metric has no stated direction
    algorithm: str
    previous: RevisionInfo | None = None  # the last of the level before; None: not known
    recovered: bool = False  # the newest level lies nearer to `before` than to `after`
    cause: Cause = "code"  # else what of the environment changed there: no regression
    drift_commits: int | None = None  # measured commits that a drift spans; None: a level shift

    @property
    def per_100_commits(self) -> float | None:
        """Change of a drift over 100 measured commits, of `before`; None: a shift, or from 0."""
        if self.drift_commits is None or self.before == 0:
            return None
        return (self.after - self.before) / abs(self.before) * 100 / self.drift_commits


@dataclass(frozen=True, slots=True)
class Detection:
    """What a search for level shifts in one series went by, and what it counted there.

    Attributes:
        basis: Digest of all that the answer follows from; while it is the same, so is the answer.
        num_points: Revisions with a finite value, all segments together.
        num_missing: Revisions that failed, were skipped or hold no finite value: left out.
        num_segments: Stretches of the history measured in one environment.
    """

    basis: str
    num_points: int
    num_missing: int
    num_segments: int


@dataclass(frozen=True, slots=True)
class Search:
    """A search for level shifts in one series, as it is stored.

    Attributes:
        series_id: As in `SeriesInfo.id`.
        shifts: Of the code and of the environment, in any order.
        algorithm: What found them.
        detection: What the search went by; None: the next one is due at once.
    """

    series_id: int
    shifts: Sequence[LevelShift]
    algorithm: str
    detection: Detection | None = None


@dataclass(frozen=True, slots=True)
class LastSearch:
    """What the store knows of the last search for level shifts in one series.

    Attributes:
        stamp: Of the series as it is now; while it stays, so do the points of its history.
        detection: What the search went by; None: it is due.
        shifts: What it found, oldest first; with those that came with the environment.
    """

    stamp: str
    detection: Detection | None
    shifts: tuple[LevelShift, ...]


@dataclass(frozen=True, slots=True)
class FingerprintChange:
    """Where the environment of a series changed: first revision measured with the new one."""

    revision: RevisionInfo
    changed: tuple[tuple[str, str | None, str | None], ...]  # (field, before, after)


@dataclass(frozen=True, slots=True)
class SeriesHistory:
    series: SeriesInfo
    points: tuple[Point, ...]  # oldest revision first
    shifts: tuple[LevelShift, ...]
    fingerprint_changes: tuple[FingerprintChange, ...]


@dataclass(frozen=True, slots=True)
class SeriesFilter:
    """Which series of a comparison are wanted; None and () leave nothing out.

    Attributes:
        machine: Its name.
        environment: Its name.
        search: Words that must all be in the metric's name.
        bench: Regular expressions, of which one must be found in the metric's name.
    """

    machine: str | None = None
    environment: str | None = None
    search: str | None = None
    bench: tuple[str, ...] = ()

    def fits(self, metric: str) -> bool:
        """Whether a metric's name has what is searched for."""
        words = (self.search or "").lower().split()
        return all(word in metric.lower() for word in words) and (
            not self.bench or any(re.search(pattern, metric) for pattern in self.bench)
        )


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """Two revisions of one series side by side; values are medians over attempts.

    Attributes:
        launches: Values of launches of one commit in one environment, wherever in the history
            there are at least two.
        noise: Whether the change is beyond what such launches differ by.
        visible: The least relative change that would be; None: not known, or not relative.
    """

    series: SeriesInfo
    base: float | None
    head: float | None
    base_status: ResultStatus | None  # None: not measured there
    head_status: ResultStatus | None
    base_values: tuple[float, ...]
    head_values: tuple[float, ...]
    launches: tuple[tuple[float, ...], ...] = ()
    noise: Noise = "unknown"
    visible: float | None = None

    @property
    def effect(self) -> float | None:
        """head/base - 1, or None where either is missing or the base is not positive."""
        if self.base is None or self.head is None or self.base <= 0:
            return None
        return self.head / self.base - 1


@dataclass(frozen=True, slots=True)
class PairedValues:
    """The stored values of one metric at two revisions, for a judgement without measuring.

    `pairs` are the (base, head) values of one gate's interleaved pairs in the order they were
    measured, `numbers` the gate's numbers of these pairs and `first` the arms that were launched
    first in them; `base` and `head` are the values of attempts outside them.
    """

    series: SeriesInfo
    numbers: tuple[int, ...]
    pairs: tuple[tuple[float, float], ...]
    base: tuple[float, ...]
    head: tuple[float, ...]
    first: tuple[Arm, ...] = ()  # empty: not known


@dataclass(frozen=True, slots=True)
class MeasuredPair:
    """One valid pair of a gate: the values of both launches by metric, and which ran first."""

    number: int
    base: dict[str, float]
    head: dict[str, float]
    first: Arm


@dataclass(frozen=True, slots=True)
class GatePairs:
    """The valid pairs of a gate, in order, and the series of every metric in them."""

    series: dict[str, SeriesInfo]
    pairs: tuple[MeasuredPair, ...]


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
class VerdictInfo:
    """A stored verdict on one metric of one gate."""

    gate_id: str
    metric: str
    unit: str
    better: Better | None
    kind: Kind
    status: VerdictStatus
    effect: float | None
    low: float | None
    high: float | None
    pairs: int
    base: float | None
    head: float | None
    mde: float | None
    reason: str = ""


# Outcomes of gates whose measurement decided, or could have.
VALID_OUTCOMES: frozenset[Outcome] = frozenset(
    {"pass", "improvement", "regression", "inconclusive"}
)
VALID_EXIT_CODES = (0, 1, 3)  # theirs; "broken" exits with 1 as well


@dataclass(frozen=True, slots=True)
class GateInfo:
    """One gate: two commits, its verdicts, the exit code it ended with (None: unfinished).

    Attributes:
        policy: As given to `begin_gate`.
        recorded: The outcome as it was stored; None where an earlier version stored none.
        course: What its pairs do not tell, as given to `finish_gate`; empty where not known.
    """

    id: str
    project: str
    machine: str
    base: RevisionInfo
    head: RevisionInfo
    started_at: datetime
    finished_at: datetime | None
    exit_code: int | None
    pairs: int
    verdicts: tuple[VerdictInfo, ...]
    policy: dict[str, object] = field(default_factory=dict)
    recorded: Outcome | None = None
    course: dict[str, object] = field(default_factory=dict)

    @property
    def outcome(self) -> Outcome | None:
        """The outcome in one word; None while it is unfinished."""
        if self.recorded is not None or self.exit_code is None:
            return self.recorded
        if self.exit_code == 0:
            statuses = {verdict.status for verdict in self.verdicts}
            # Without the votes, an undecided metric is taken for one that votes: never for a pass.
            if "inconclusive" in statuses:
                return "inconclusive"
            return "improvement" if "improvement" in statuses else "pass"
        if self.exit_code == 3:
            return "inconclusive"
        return "regression" if self.exit_code == 1 else "invalid"

    @property
    def is_valid(self) -> bool:
        """Whether it was measured to its end, so that its verdicts stand."""
        return self.outcome in VALID_OUTCOMES and self.exit_code in VALID_EXIT_CODES


@dataclass(frozen=True, slots=True)
class GateLaunch:
    """One launch of a gate's valid pair; `header` is the first line of the artifact at `path`."""

    gate_id: str
    pair: int
    arm: Arm
    benchmark: str
    header: dict[str, object]
    path: str = ""


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
class AlertEvent:
    """One line of an alert's history, which only ever grows.

    Attributes:
        at: When it happened.
        action: What kind of event it is (`tracker.triage`).
        text: In words, one line.
        by: Who did it; None: the tracker itself.
    """

    at: datetime
    action: str
    text: str
    by: str | None = None

    def __str__(self) -> str:
        stamp = self.at.strftime("%Y-%m-%dT%H:%M:%SZ")
        return f"{stamp} {self.text}" + (f" (by {self.by})" if self.by else "")


@dataclass(frozen=True, slots=True)
class AlertInfo:
    """An alert and what people decided about it.

    Attributes:
        state: As of now: an acceptance that has expired reads as "open".
        revision: The commit that it is about: `detected` unless a person moved it.
        key: What is never alerted twice: project, commit and machine.
        machine: Where; None for alerts of earlier versions whose key names none.
        detected: The commit at which the level shift begins, or which a gate judged.
        metrics: What it covers of the commit's series; None: all that no other alert covers.
        merged_into: Key of the alert that it is a part of.
        until: When the acceptance ends; None: never.
        fixed_by: Full hash of the commit that is said to fix it.
        history: Everything that happened to it, oldest first.
    """

    id: int
    project: str
    state: AlertState
    title: str
    detail: str
    revision: RevisionInfo | None
    num_series: int
    worst_effect: float | None
    created_at: datetime
    updated_at: datetime
    key: str | None = None
    machine: str | None = None
    detected: RevisionInfo | None = None
    metrics: tuple[str, ...] | None = None
    merged_into: str | None = None
    assignee: str | None = None
    issue: str | None = None  # URL
    until: datetime | None = None
    fixed_by: str | None = None
    history: tuple[AlertEvent, ...] = ()

    @property
    def note(self) -> str | None:
        """The history as text, a line for each event; None where nothing happened yet."""
        return "\n".join(map(str, self.history)) or None


@dataclass(frozen=True, slots=True)
class DeliveryInfo:
    """A message about an alert on its way to one place, or there.

    Attributes:
        sink: The place.
        stage: What is said of the alert.
        attempts: How often it was tried.
        next_at: Not tried before.
        finished_at: When it was delivered, or dropped since the alert had gone on; None: it waits.
        reference: What the place calls it: an issue's number.
        error: Of the last attempt.
    """

    id: int
    alert_id: int
    sink: str
    stage: str
    state: DeliveryState
    attempts: int
    next_at: datetime
    finished_at: datetime | None = None
    reference: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class JobInfo:
    """Work that somebody asked the service for: a paired run, a bisection, the check of a fix.

    Attributes:
        machine: The service of this machine takes it.
        revision: The commit that it is about.
        arguments: Of its kind, as plain values.
        attempts: How often it was started; more than once after the service was cut off.
        result: What came of it, in words; None before its end.
        gate_id: The paired run that it made.
    """

    id: int
    project: str
    machine: str
    kind: JobKind
    revision: RevisionInfo
    arguments: dict[str, object]
    state: JobState
    asked_by: str
    asked_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    attempts: int = 0
    result: str | None = None
    gate_id: str | None = None


@dataclass(frozen=True, slots=True)
class AccountInfo:
    """What an e-mail address may do in the dashboard."""

    email: str
    role: Role
    added_at: datetime
    added_by: str


@dataclass(frozen=True, slots=True)
class ExplanationInfo:
    """A stored explanation: `document` is what `tracker explain --format json` prints."""

    base: str
    head: str
    machine: str
    created_at: datetime
    document: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class QuarantinedGpu:
    """A GPU whose launches do not count, from a launch that showed it sick until a person releases it.

    Attributes:
        gpu: UUID.
        machine: Where it was seen.
        model: Its name; None where unknown.
        reason: What was seen, with figures.
        since: When.
        released_at: None while its launches do not count.
        released_because: What the person who released it said.
    """

    gpu: str
    machine: str
    model: str | None
    reason: str
    since: datetime
    released_at: datetime | None = None
    released_because: str | None = None

    @property
    def text(self) -> str:
        """The whole in one sentence, with how it ends."""
        return (
            f"GPU {self.gpu} of {self.machine} is in quarantine since {self.since:%Y-%m-%d}: "
            f"{self.reason}; its launches do not count. Once it is repaired: "
            f"`tracker doctor --release {self.gpu}`"
        )


@dataclass(frozen=True, slots=True)
class Expectation:
    """An intended change of a metric: the gate tests for it instead of calling it a regression.

    Attributes:
        metric: A metric's name, or its end: `ttft_p50`, `TinyC4.ttft_p50`.
        change: head/base - 1, signed as measured.
        because: Why the price is right.
        commit: The commit that brings it, full hash; None: every gate until `until`.
        until: When it expires; None: never, which needs a commit.
    """

    metric: str
    change: float
    because: str
    commit: str | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class IngestProblemInfo:
    path: str
    benchmark: str | None
    reason: str
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class CalibrationInfo:
    """A/A gates counted: how often identical commits were called a regression."""

    gates: int
    false_blocks: int
    upper_bound: float | None  # exact 95 % binomial bound on the rate; None with no gates


@dataclass(frozen=True, slots=True)
class CalibrationBlock:
    """A/A gates of one commit under one policy on one machine, as `tracker calibrate` ran them."""

    machine: str
    started_at: datetime  # of the first of them
    gates: int  # that ended with a valid measurement
    false_blocks: int
    policy: dict[str, object]  # as given to `begin_gate`, with the "commit"


@dataclass(frozen=True, slots=True)
class CalibrationRecord:
    """The A/A gates of one machine counted from the first up to `until`."""

    machine: str
    until: datetime
    counted: CalibrationInfo


@dataclass(frozen=True, slots=True)
class SearchedSeries:
    """How many of a project's series were searched for level shifts, and the shifts by algorithm."""

    num_series: int
    num_searched: int
    shifts: tuple[tuple[str, int], ...]


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
class TokenInfo:
    """A token of the HTTP service: who it was made for, and what its holder may do until when.

    Attributes:
        prefix: Its second part, which identifies it; no secret.
        project: The only project that it opens; None: every project.
    """

    prefix: str
    name: str
    scopes: tuple[TokenScope, ...]
    project: str | None
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None

    def state(self, now: datetime) -> Literal["active", "expired", "revoked"]:
        """Return whether the token still opens anything."""
        if self.revoked_at is not None:
            return "revoked"
        return "active" if now < self.expires_at else "expired"


@dataclass(frozen=True, slots=True)
class Overview:
    """The first page: what is worse, since when, how fresh, how often the gate cried wolf."""

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
