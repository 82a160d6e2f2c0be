"""An exact metric has no noise: the first pair decides, and later pairs may only confirm it."""

from __future__ import annotations

import math

from tracker.stats.verdict import Better, Difference, Status, Verdict

__all__ = ["ExactMetric"]


class ExactMetric:
    """Compares counts that are the same in every launch of a commit.

    Args:
        better: Direction.
        step: An absolute change beyond it is real; >= 0.

    Raises:
        ValueError: `step` is negative or not finite.
    """

    def __init__(self, better: Better, step: float) -> None:
        if not (math.isfinite(step) and step >= 0):
            raise ValueError(f"step must be finite and >= 0, not {step}")
        self._better = better
        self._step = step
        self._first: tuple[float, float] | None = None
        self._constant = True
        self.pairs = 0

    def add(self, base: float, head: float) -> None:
        """Add one pair."""
        if self._first is None:
            self._first = (base, head)
        elif self._first != (base, head):
            self._constant = False
        self.pairs += 1

    def verdict(self) -> Verdict:
        """Return what the pairs so far show."""
        if self._first is None:
            return Verdict("inconclusive", None, None, None, 0, "no pairs measured", None)
        base, head = self._first
        effect = head / base - 1 if base > 0 else 0.0 if base == head else None
        if not self._constant:
            reason = "declared exact, yet it differs between launches of one commit"
            return Verdict("inconclusive", effect, None, None, self.pairs, reason, None)
        change = head - base
        worse = change if self._better == "lower" else -change
        status: Status = "pass"
        if abs(worse) > self._step:
            status = "regression" if worse > 0 else "improvement"
        reason = f"exact: {base:g} -> {head:g}"
        mde = self._step / abs(base) if base else None
        difference = Difference(change, change, change) if min(base, head) <= 0 else None
        return Verdict(status, effect, effect, effect, self.pairs, reason, mde, difference)
