"""The one value every report format is rendered from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tracker.domain import (
    VALID_EXIT_CODES,
    VALID_OUTCOMES,
    Better,
    Kind,
    Outcome,
    VerdictStatus,
)
from tracker.explain.explanation import Explanation
from tracker.gate.outcome import exit_code_of
from tracker.metrics import line_to_state_direction
from tracker.report.creep import Creep
from tracker.report.numbers import count_of, duration, some_of
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
        difference: head - base in `unit`, where a zero or negative value allows no ratio; else None.
        expected: The intended change of `effect`; None: none.
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
    difference: float | None = None
    points: tuple[tuple[float | None, float | None], ...] = ()

    @property
    def blocks(self) -> bool:
        return (self.outcome == "regression" and self.votes) or (
            self.limit is not None and self.limit_blocks
        )

    @property
    def is_folded(self) -> bool:
        """Whether there is nothing to do about it: it passes, or is undecided without a vote."""
        quiet = self.outcome == "pass" or (self.outcome == "inconclusive" and not self.votes)
        return quiet and self.limit is None and self.expected is None

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
    """A metric without a verdict, because it was not measured where it had to be.

    Attributes:
        metric: Its name.
        where: The commits that give no value.
        reason: In one sentence.
        fails: Whether that decides the outcome; not for a metric without a vote.
        log: The last lines that the launch wrote of it.
    """

    metric: str
    where: Literal["base", "head", "both"]
    reason: str
    fails: bool = False
    log: tuple[str, ...] = ()

    @property
    def breaks(self) -> bool:
        """Whether HEAD breaks it: BASE runs it."""
        return self.fails and self.where == "head"

    @property
    def sentence(self) -> str:
        """Where it is missing, and why."""
        where = "both commits" if self.where == "both" else self.where.upper()
        vote = "" if self.fails else " (no vote)"
        return f"fails in {where}{vote}: {self.reason}"


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
        infrastructure: Why nothing could be measured, where that is not HEAD's doing.
        stopped: Why no more pairs were measured.
        pairs: Valid pairs.
        dropped: Pairs dropped as invalid.
        seconds: Wall time, without `waited`.
        alpha: Bound on the probability of any false regression.
        outcome: The verdict in one word, by `tracker.gate.outcome`.
        undecided_blocks: Whether the policy blocks on what is undecided.
        interrupted: Whether Ctrl-C ended the measurement.
        waited: Seconds in which another measurement had the machine.
        gate_id: Of the stored gate, or None.
        creep: The drift since the last release, where there is one.
        tails: Tail latencies of all requests.
        environment: (name, value) of what the launches ran in, beside the code.
        explanation: Which places a regression comes from, where that was asked for.
        skipped: Metrics with a vote that the suites skipped in both commits, in every pair.
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
    waited: float = 0.0
    infrastructure: tuple[str, ...] = ()
    gate_id: str | None = None
    creep: Creep | None = None
    tails: tuple[Tail, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    explanation: Explanation | None = None
    skipped: tuple[str, ...] = ()

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
        """The verdict in one sentence, with the metrics that decide it."""
        parts = self._parts()
        if self.undirected:
            parts.append(f"not judged for want of a direction: {some_of(self.undirected)}")
        return "; ".join(part for part in parts if part)

    def _parts(self) -> list[str]:
        if self.outcome == "invalid":
            return [f"INVALID: {self.invalid[0] if self.invalid else 'nothing was measured'}"]
        if self.outcome == "infrastructure" and self.infrastructure:
            return [f"INFRASTRUCTURE: {self.infrastructure[0]}"]
        passed = sum(row.votes and row.outcome in ("pass", "improvement") for row in self.rows)
        passing = f"{count_of(passed, 'metric')} pass"
        blocking = [row for row in self.worst_first if row.blocks]
        slower = [row for row in blocking if row.outcome == "regression" and row.votes]
        beyond = [row for row in blocking if row.limit is not None]
        places: tuple[tuple[Literal["base", "both"], str], ...] = (
            ("both", "both commits"), ("base", "BASE only"),
        )  # fmt: skip
        failing = [
            f"{some_of(names)} {'fails' if len(names) == 1 else 'fail'} in {place}"
            for where, place in places
            if (names := self.failing(where))
        ]
        undecided = f"{_names(self.undecided)} undecided" if self.undecided else ""
        if self.outcome == "broken":
            first = next(missing for missing in self.missing if missing.breaks)
            parts = [f"BROKEN: HEAD fails {some_of(self.failing('head'))}: {first.reason}"]
        elif self.outcome == "infrastructure":
            return [f"INFRASTRUCTURE: {'; '.join(failing)}", undecided, passing]
        elif self.outcome == "inconclusive":
            blocks = "" if self.exit_code else "this does not block by policy"
            if self.interrupted:
                undecided = f"interrupted with {count_of(len(self.undecided), 'metric')} undecided"
            return [f"INCONCLUSIVE: {undecided}", passing if passed else "", blocks]
        elif self.outcome == "regression":
            parts = []
        else:
            better = [r for r in self.worst_first if r.votes and r.outcome == "improvement"]
            return (
                [f"IMPROVEMENT: {_names(better)}", passing]
                if better
                else [f"PASS: {count_of(passed, 'metric')}"]
            )
        parts += [f"REGRESSION: {_names(slower)}"] if slower else []
        parts += [f"LIMIT BROKEN: {_names(beyond)}"] if beyond else []
        if self.creep is not None and self.creep.over:
            crept = some_of([drift.metric for drift in self.creep.over])
            parts.append(f"CREEP beyond its budget since {self.creep.release}: {crept}")
        return [*parts, *failing]

    @property
    def effort(self) -> str:
        """Pairs, time, and why no more were measured."""
        dropped = f", {self.dropped} dropped" if self.dropped else ""
        waited = (
            f" after waiting {duration(self.waited)} for the machine" if self.waited >= 1 else ""
        )
        return (
            f"{count_of(self.pairs, 'pair')}{dropped} in {duration(self.seconds)}{waited}; "
            f"{self.stopped}"
        )

    @property
    def is_valid(self) -> bool:
        """Whether it was measured to its end, so that its verdicts stand."""
        return self.outcome in VALID_OUTCOMES and self.exit_code in VALID_EXIT_CODES

    def failing(self, where: Literal["base", "head", "both"]) -> list[str]:
        """Return the voting metrics that fail there."""
        return [m.metric for m in self.missing if m.fails and m.where == where]

    @property
    def undirected(self) -> list[str]:
        """The benchmarks that are not judged because nobody stated which direction is better."""
        names = (row.metric.partition("(")[0] for row in self.rows if row.better is None)
        return list(dict.fromkeys(names))

    @property
    def direction_lines(self) -> list[str]:
        """The lines of pacekeeper.toml that give the first of them a direction, to be completed."""
        units = {row.metric.partition("(")[0]: row.unit for row in self.rows}
        return [
            line
            for name in self.undirected[:3]
            for line in line_to_state_direction(name, units[name]).splitlines()
        ]

    @property
    def notable(self) -> tuple[ReportRow, ...]:
        """What there is something to say of, the worst first."""
        return tuple(row for row in self.worst_first if not row.is_folded)

    @property
    def folded(self) -> tuple[ReportRow, ...]:
        """The others, in the order they were declared."""
        return tuple(row for row in self.rows if row.is_folded)

    @property
    def worst_first(self) -> tuple[ReportRow, ...]:
        return tuple(sorted(self.rows, key=lambda row: row.badness))


def _names(rows: Sequence[ReportRow]) -> str:
    return some_of([row.metric for row in rows])
