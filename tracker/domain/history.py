"""Series of a project over its revisions, and the level shifts in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from tracker.domain.measurement import ResultStatus
from tracker.domain.metric import Better, Kind, metric_name

Cause = Literal["code", "measuring tool", "dependency", "driver", "hardware", "node", "noise"]


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
class SearchedSeries:
    """How many of a project's series were searched for level shifts, and the shifts by algorithm."""

    num_series: int
    num_searched: int
    shifts: tuple[tuple[str, int], ...]
