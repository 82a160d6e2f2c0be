"""An exact metric: no noise, so the first pair decides and later ones may only agree."""

from __future__ import annotations

import math

from tracker.stats.verdict import Better, Status, Verdict

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
        self._steady = True
        self.pairs = 0

    def add(self, base: float, head: float) -> None:
        """Add one pair."""
        if self._first is None:
            self._first = (base, head)
        elif self._first != (base, head):
            self._steady = False
        self.pairs += 1

    def verdict(self) -> Verdict:
        """Return what the pairs so far say."""
        if self._first is None:
            return Verdict("inconclusive", None, None, None, 0, "no pairs measured", None)
        base, head = self._first
        effect: float | None
        if base == head:
            effect = 0.0
        else:
            effect = head / base - 1 if base != 0 else None
        if not self._steady:
            reason = "declared exact, yet it differs between launches of one commit"
            return Verdict("inconclusive", effect, None, None, self.pairs, reason, None)
        worse = head - base if self._better == "lower" else base - head
        status: Status = "pass"
        if abs(worse) > self._step:
            status = "regression" if worse > 0 else "improvement"
        reason = f"exact: {base:g} -> {head:g}"
        mde = self._step / abs(base) if base else None
        return Verdict(status, effect, effect, effect, self.pairs, reason, mde)
