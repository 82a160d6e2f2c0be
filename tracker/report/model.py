"""The one value every report format is rendered from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tracker.domain import Better, Kind, Outcome, VerdictStatus
from tracker.gate.outcome import exit_code_of
from tracker.report.creep import Creep
from tracker.report.numbers import count_of
from tracker.report.tails import Tail

__all__ = ["Missing", "Report", "ReportRow", "RowVerdict"]

# "not judged": the metric has no stated direction, or no value to be compared with.
RowVerdict = VerdictStatus | Literal["not judged"]

_ORDER: dict[str, int] = {
    "regression": 0,
    "inconclusive": 1,
    "improvement": 2,
    "not judged": 3,
    "pass": 4,
}


@dataclass(frozen=True, slots=True)
class ReportRow:
    """One metric: what was measured on both sides and what that says.

    Attributes:
        metric: asv's benchmark name, parameters in parentheses.
        unit: Base unit of `base` and `head`.
        better: Direction, or None where nobody stated it.
        kind: Kind of metric; "exact" has no noise.
        base: Median over launches; None where not measured.
        head: Likewise.
        effect: head/base - 1, signed as measured.
        low: Lower end of the 99 % interval of `effect`.
        high: Upper end.
        outcome: The verdict.
        votes: Whether a regression here blocks.
        pairs: Pairs of launches behind the verdict.
        mde: Smallest slowdown that would have been called; None where none could be.
        margin: Slowdown that does not matter yet; None for exact metrics and what is not judged.
        detect: Slowdown that a pass excludes; None for exact metrics and what is not judged.
        reason: One sentence.
        limit: The absolute limit that head breaks, in `unit`; None where it keeps it.
        limit_blocks: Whether breaking it blocks.
        expected: The change of `effect` that somebody intends; None: none.
        points: (base, head) of every pair, as measured, in order; None where an arm has no value.
    """

    metric: str
    unit: str
    better: Better | None
    kind: Kind
    base: float | None
    head: float | None
    effect: float | None
    low: float | None
    high: float | None
    outcome: RowVerdict
    votes: bool
    pairs: int
    mde: float | None
    reason: str
    detect: float | None = None
    margin: float | None = None
    limit: float | None = None
    limit_blocks: bool = False
    expected: float | None = None
    points: tuple[tuple[float | None, float | None], ...] = ()

    @property
    def blocks(self) -> bool:
        return (self.outcome == "regression" and self.votes) or (
            self.limit is not None and self.limit_blocks
        )

    @property
    def sees(self) -> float | None:
        """The smallest slowdown that did not hide behind this verdict; None where not known.

        Few pairs may be enough to exclude `detect` while they are too few to call anything.
        """
        if self.kind == "exact" or self.outcome == "not judged":
            return None
        if self.mde is None and self.outcome == "pass":
            return self.detect
        return self.mde

    @property
    def badness(self) -> tuple[int, float, str]:
        """Sort key: what blocks first, then by outcome, then the largest change."""
        rank = -1 if self.blocks else _ORDER[self.outcome]
        return (rank, -abs(self.effect or 0.0), self.metric)


@dataclass(frozen=True, slots=True)
class Missing:
    """A metric without a verdict, because it was not measured where it had to be."""

    metric: str
    where: Literal["base", "head", "both"]
    reason: str


@dataclass(frozen=True, slots=True)
class Report:
    """A gate's outcome, complete: the renderers look nothing up.

    Attributes:
        project: Its name.
        machine: Name of the machine.
        base: Full hash.
        head: Full hash.
        base_subject: First line of its message, or None.
        head_subject: Likewise.
        configuration: (name, value) pairs common to every row, printed once on top.
        rows: One a metric, in the order they are declared.
        missing: Metrics that were not measured.
        warnings: Sentences.
        invalid: Why the measurement as a whole decides nothing; empty when it is valid.
        stopped: Why no more pairs were measured.
        pairs: Valid pairs.
        dropped: Pairs dropped as invalid.
        seconds: Wall time.
        alpha: Bound on the probability of any false regression.
        outcome: The verdict in one word, by `tracker.gate.outcome`.
        undecided_blocks: Whether the policy blocks on what is undecided.
        interrupted: Whether Ctrl-C ended the measurement.
        gate_id: Of the stored gate, or None.
        creep: The drift since the last release, where there is one.
        tails: Tail latencies of all requests.
        environment: (name, value) of what the launches ran in, beside the code.
    """

    project: str
    machine: str
    base: str
    head: str
    base_subject: str | None
    head_subject: str | None
    configuration: tuple[tuple[str, str], ...]
    rows: tuple[ReportRow, ...]
    missing: tuple[Missing, ...]
    warnings: tuple[str, ...]
    invalid: tuple[str, ...]
    stopped: str
    pairs: int
    dropped: int
    seconds: float
    alpha: float
    outcome: Outcome
    undecided_blocks: bool = False
    interrupted: bool = False
    gate_id: str | None = None
    creep: Creep | None = None
    tails: tuple[Tail, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()

    @property
    def undecided(self) -> tuple[ReportRow, ...]:
        """What votes and is neither shown to be worse nor shown not to be."""
        return tuple(row for row in self.rows if row.votes and row.outcome == "inconclusive")

    @property
    def exit_code(self) -> int:
        """As the command line exits."""
        return exit_code_of(
            self.outcome, undecided_blocks=self.undecided_blocks, interrupted=self.interrupted
        )

    @property
    def headline(self) -> str:
        """The verdict in one sentence."""
        blocking = [row for row in self.worst_first if row.blocks]
        if self.outcome == "invalid":
            return f"INVALID: {self.invalid[0] if self.invalid else 'nothing was measured'}"
        if self.outcome == "regression":
            slower = [row for row in blocking if row.outcome == "regression" and row.votes]
            beyond = [row for row in blocking if row.limit is not None]
            parts = [f"REGRESSION: {_names(slower)}"] if slower else []
            parts += [f"LIMIT BROKEN: {_names(beyond)}"] if beyond else []
            if self.creep is not None and self.creep.over:
                names = _some([drift.metric for drift in self.creep.over])
                parts.append(f"CREEP beyond its budget since {self.creep.release}: {names}")
            return "; ".join(parts)
        if self.interrupted and self.outcome == "inconclusive":
            return f"INCONCLUSIVE: interrupted with {count_of(len(self.undecided), 'metric')} undecided"
        if self.exit_code == 3:
            return f"INCONCLUSIVE: {_names(self.undecided)}"
        passed = sum(row.votes and row.outcome != "inconclusive" for row in self.rows)
        if self.undecided:
            return (
                f"INCONCLUSIVE: {passed} pass, {len(self.undecided)} undecided; "
                "this does not block by policy"
            )
        better = [row for row in self.worst_first if row.votes and row.outcome == "improvement"]
        if better:
            return f"IMPROVEMENT: {_names(better)}; {count_of(passed, 'metric')} pass"
        return f"PASS: {count_of(passed, 'metric')}"

    @property
    def worst_first(self) -> tuple[ReportRow, ...]:
        return tuple(sorted(self.rows, key=lambda row: row.badness))


def _names(rows: Sequence[ReportRow]) -> str:
    return _some([row.metric for row in rows])


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"
