"""What a gate judges, and what it found: values between the loop and the report."""

from __future__ import annotations

from dataclasses import dataclass, field

from tracker.domain import BenchmarkInfo, Expectation
from tracker.gate.policy import MetricPolicy
from tracker.stats import Verdict

__all__ = ["GateResult", "Judged"]


@dataclass(frozen=True, slots=True)
class Judged:
    """A metric that is measured in both commits, and how it is judged."""

    name: str
    benchmark: BenchmarkInfo
    policy: MetricPolicy
    expected: Expectation | None = None  # the change that somebody intends

    @property
    def votes(self) -> bool:
        return self.policy.vote and self.policy.better is not None

    @property
    def watched(self) -> bool:
        """Whether it gets a verdict at all, voting or not."""
        return self.policy.better is not None


@dataclass(slots=True)
class GateResult:
    """What a session found, before anybody calls it a pass.

    Attributes:
        judged: Metrics measured in both commits.
        verdicts: By metric, of those that are watched.
        values: By metric, (base, head) of every valid pair that carried it.
        not_measured: (metric, where it is missing, reason).
        warnings: Sentences.
        invalid: Why the measurement decides nothing; empty when it is valid.
        stopped: Why no more pairs were measured.
        pairs: Valid pairs.
        dropped: Pairs dropped.
        moved: Those of them that were dropped because the node itself moved.
        seconds: Wall time.
        seed: Of the order of launches.
        interrupted: Whether somebody pressed Ctrl-C.
    """

    judged: dict[str, Judged] = field(default_factory=dict)
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    values: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    not_measured: list[tuple[str, str, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    invalid: list[str] = field(default_factory=list)
    stopped: str = ""
    pairs: int = 0
    dropped: int = 0
    moved: int = 0
    seconds: float = 0.0
    seed: int = 0
    interrupted: bool = False
