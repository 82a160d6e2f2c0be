"""Level shifts of many series, grouped under the commit that brought them. Pure values."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from tracker.domain import Cause, LevelShift, RevisionInfo, SeriesInfo

__all__ = [
    "Analysis",
    "Change",
    "Confirmation",
    "Direction",
    "Finding",
    "finding_of",
    "group_by_commit",
    "sort_findings",
    "worth_confirming",
]

Confirmation = Literal["confirmed", "refuted", "inconclusive"]

Direction = Literal["worse", "unknown", "better"]

_DIRECTIONS: tuple[Direction, ...] = ("worse", "unknown", "better")  # worst first


@dataclass(frozen=True, slots=True)
class Change:
    """One level shift of one series.

    `confirmation` is what a paired run says of this series; None where none judged it.
    """

    series: SeriesInfo
    shift: LevelShift
    confirmation: Confirmation | None = None

    @property
    def direction(self) -> Direction:
        """Worse or better by the metric's stated direction; unknown where none is stated."""
        if self.shift.worse is None:
            return "unknown"
        return "worse" if self.shift.worse else "better"

    @property
    def size(self) -> float:
        """|log(after/before)|: a doubling and a halving are equally large; inf from or to 0."""
        before, after = self.shift.before, self.shift.after
        if before * after > 0:
            return abs(math.log(after / before))
        return math.inf


@dataclass(frozen=True, slots=True)
class Finding:
    """Everything that shifted at one commit on one machine; `changes` come worst first.

    `confirmation` is what a paired run of the commits before and after says, `gate_id` that run.
    """

    project: str
    machine: str
    revision: RevisionInfo
    changes: tuple[Change, ...]
    confirmation: Confirmation | None = None
    gate_id: str | None = None

    @property
    def before(self) -> RevisionInfo | None:
        """The newest revision that a series had before it shifted here."""
        known = [c.shift.previous for c in self.changes if c.shift.previous is not None]
        return max(known, key=lambda revision: revision.committed_at, default=None)

    @property
    def cause(self) -> Cause:
        """What the shift comes from, as far as is known: noise where a paired run refuted it."""
        return "noise" if self.confirmation == "refuted" else self.changes[0].shift.cause

    @property
    def direction(self) -> Direction:
        """The worst direction among the changes."""
        present = {change.direction for change in self.changes}
        return next(direction for direction in _DIRECTIONS if direction in present)

    def of(self, direction: Direction) -> tuple[Change, ...]:
        """The changes in `direction`, largest first."""
        return tuple(change for change in self.changes if change.direction == direction)


@dataclass(frozen=True, slots=True)
class Analysis:
    """What a look at many series found; `findings` come worst first.

    `moves` are levels that changed where the environment did: never regressions.
    """

    findings: tuple[Finding, ...]
    num_series: int
    num_without_values: int
    num_points: int
    num_missing: int
    num_segments: int
    num_shifts: int
    moves: tuple[Finding, ...] = ()


def group_by_commit(changes: Iterable[Change]) -> tuple[Finding, ...]:
    """One finding for each (project, machine, commit), worst first.

    Findings with something worse come before those with an unknown direction, then better ones;
    within each, the largest change first, then the greater number of series.
    """
    groups: dict[tuple[str, str, str], list[Change]] = defaultdict(list)
    for change in changes:
        series, commit = change.series, change.shift.revision.commit
        groups[(series.project, series.machine, commit)].append(change)
    return sort_findings(
        finding_of(project, machine, members[0].shift.revision, members)
        for (project, machine, _), members in groups.items()
    )


def finding_of(
    project: str,
    machine: str,
    revision: RevisionInfo,
    changes: Iterable[Change],
    *,
    confirmation: Confirmation | None = None,
    gate_id: str | None = None,
) -> Finding:
    """A finding with its changes worst first."""
    ordered = tuple(sorted(changes, key=_rank))
    return Finding(project, machine, revision, ordered, confirmation, gate_id)


def worth_confirming(findings: Sequence[Finding]) -> list[Finding]:
    """Return the regressions that have not recovered and that no paired run has judged, worst first."""
    return [
        finding
        for finding in findings
        if finding.confirmation is None
        and finding.before is not None
        and any(
            not change.shift.recovered and change.shift.drift_commits is None
            for change in finding.of("worse")
        )
    ]


def sort_findings(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Findings in the order of `group_by_commit`."""
    return tuple(sorted(findings, key=_finding_rank))


def _rank(change: Change) -> tuple[int, float, str, tuple[str, ...]]:
    series = change.series
    return _DIRECTIONS.index(change.direction), -change.size, series.benchmark, series.params


def _finding_rank(finding: Finding) -> tuple[int, float, int, str, str, str]:
    leading = finding.of(finding.direction)
    return (
        _DIRECTIONS.index(finding.direction),
        -leading[0].size,
        -len(leading),
        finding.project,
        finding.machine,
        finding.revision.commit,
    )
