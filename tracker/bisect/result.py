"""The result of a bisection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from tracker.measure.git import Commit
from tracker.stats.bisection import Misfit

__all__ = ["BisectOutcome", "Bisected", "CommitSeen"]

BisectOutcome = Literal["named", "group", "undecided", "several", "no regression", "invalid"]


@dataclass(frozen=True, slots=True)
class CommitSeen:
    """One commit of the range and what is known of it.

    Attributes:
        commit: Which.
        probability: That it is the first bad one.
        pairs: Measured of it against the good commit.
        effect: Mean of head/base - 1 over them, signed as measured; None without pairs, or where
            the good commit's values are not positive.
        skipped: Why it could not be measured, or None.
    """

    commit: Commit
    probability: float
    pairs: int
    effect: float | None
    skipped: str | None


@dataclass(slots=True)
class Bisected:
    """The state of a bisection, and at its end its result.

    Attributes:
        project: Its name.
        machine: Where it was measured.
        good: The commit known to be good.
        commits: Of the range, oldest first; the last is the bad one.
        confidence: Probability at which a culprit is named.
        metric: The metric, or empty where none regressed.
        outcome: "named": one commit. "group": some that cannot be distinguished, since those between
            them cannot be measured. "several": more than one change. "undecided". "no
            regression": nothing to look for. "invalid": good and bad could not be compared.
        culprits: The commit or the group.
        probability: Of the culprits.
        seen: Each commit of the range; empty where nothing was bisected.
        misfit: What contradicts a single step.
        note: Why there is no regression, or why it is invalid.
        pairs: Measured in all, those of good against bad included.
        stopped: Why no more were measured.
        interrupted: Whether somebody pressed Ctrl-C.
    """

    project: str
    machine: str
    good: Commit
    commits: Sequence[Commit]
    confidence: float
    metric: str = ""
    outcome: BisectOutcome = "undecided"
    culprits: tuple[Commit, ...] = ()
    probability: float = 0.0
    seen: list[CommitSeen] = field(default_factory=list)
    misfit: Misfit | None = None
    note: str = ""
    pairs: int = 0
    stopped: str = ""
    interrupted: bool = False

    @property
    def bad(self) -> Commit:
        return self.commits[-1]

    @property
    def candidates(self) -> list[CommitSeen]:
        """The likeliest commits that together reach the confidence, likeliest first."""
        ranked = sorted(self.seen, key=lambda seen: -seen.probability)
        candidates: list[CommitSeen] = []
        while ranked and sum(seen.probability for seen in candidates) < self.confidence:
            candidates.append(ranked.pop(0))
        return candidates

    @property
    def exit_code(self) -> int:
        """0 one commit named, 3 none can be, 4 nothing valid measured, 130 interrupted."""
        if self.interrupted:
            return 130
        if self.outcome == "invalid":
            return 4
        return 0 if self.outcome == "named" else 3
