"""A metric that a gate judges."""

from __future__ import annotations

from dataclasses import dataclass

from tracker.domain import BenchmarkInfo, Expectation
from tracker.gate.policy import MetricPolicy

__all__ = ["Judged"]


@dataclass(frozen=True, slots=True)
class Judged:
    """A metric, and how it is judged.

    Attributes:
        name: With its parameters.
        benchmark: It belongs to.
        policy: How strictly.
        expected: The intended change; None: none.
    """

    name: str
    benchmark: BenchmarkInfo
    policy: MetricPolicy
    expected: Expectation | None = None

    @property
    def votes(self) -> bool:
        return self.policy.vote and self.policy.better is not None

    @property
    def watched(self) -> bool:
        """Whether it gets a verdict at all, voting or not."""
        return self.policy.better is not None
