"""Gates: their pairs, verdicts and outcome, A/A gates counted, and intended changes."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from tracker.domain.history import RevisionInfo, SeriesInfo
from tracker.domain.measurement import Arm
from tracker.domain.metric import Better, Kind

VerdictStatus = Literal["pass", "regression", "improvement", "inconclusive"]
Outcome = Literal[
    "pass", "improvement", "regression", "broken", "inconclusive", "invalid", "infrastructure"
]

# Outcomes of gates whose measurement decided, or could have, and the exit codes of these.
VALID_OUTCOMES: frozenset[Outcome] = frozenset(
    {"pass", "improvement", "regression", "inconclusive"}
)
VALID_EXIT_CODES = (0, 1, 3)  # "broken" exits with 1 as well


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
