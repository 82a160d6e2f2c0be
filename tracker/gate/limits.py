"""Absolute limits: what a user may experience, whatever it was before."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tracker.domain import Better

__all__ = ["DEFAULT_LIMITS", "Limit"]


@dataclass(frozen=True, slots=True)
class Limit:
    """The worst value that a metric may have: the highest, or the lowest where higher is better.

    Attributes:
        pattern: Regular expression searched in the metric's name.
        worst: In the metric's base unit.
        unit: Applies to metrics of these units only; empty for any.
        stated: Whether the project asked for it. One that it did not ask for warns rather than
            blocks where the base breaks it too.
    """

    pattern: str
    worst: float
    unit: tuple[str, ...] = ()
    stated: bool = True

    def applies(self, metric: str, unit: str) -> bool:
        return bool(re.search(self.pattern, metric)) and (not self.unit or unit in self.unit)

    def is_broken_by(self, value: float, better: Better | None) -> bool:
        return value < self.worst if better == "higher" else value > self.worst

    def blocks(self, base: float, better: Better | None) -> bool:
        """Whether breaking it blocks, given the value of the base."""
        return self.stated or not self.is_broken_by(base, better)


# What a reader of a chat feels: the first token within two seconds, then faster than reading.
DEFAULT_LIMITS = (
    Limit(r"(?i)(^|[._])ttft(_p50|_median)?($|\()", 2.0, ("s", "seconds"), stated=False),
    Limit(r"(?i)(^|[._])(tpot|itl)(_p50|_median)?($|\()", 0.5, ("s", "seconds"), stated=False),
    Limit(r"(?i)(^|[._])error_rate($|\()", 0.005, stated=False),
)
