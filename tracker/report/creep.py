"""How far metrics have crept since the last release: the part of a report that says so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tracker.domain import Better
from tracker.report.numbers import interval, percent

__all__ = ["Creep", "Drift", "creep_document", "creep_lines"]


@dataclass(frozen=True, slots=True)
class Drift:
    """One metric since the release.

    Attributes:
        metric: Its name.
        better: Direction, or None.
        effect: head/release - 1, signed as measured, less what was intended.
        low: Lower end of its 99 % interval; None where it has none.
        high: Upper end.
        budget: The slowdown allowed, a ratio.
        over: Whether the budget is exceeded for certain.
    """

    metric: str
    better: Better | None
    effect: float
    low: float | None
    high: float | None
    budget: float
    over: bool = False

    @property
    def slowdown(self) -> float:
        """The drift as a slowdown: positive is worse, whichever way is better."""
        return 1 / (1 + self.effect) - 1 if self.better == "higher" else self.effect

    @property
    def spent(self) -> float:
        """The share of the budget that is spent; negative where the metric got better."""
        return self.slowdown / self.budget if self.budget else 0.0


@dataclass(frozen=True, slots=True)
class Creep:
    """What is known of the drift since the release.

    Attributes:
        release: The tag.
        how: "measured" against it, "summed" over stored gates, or "unknown".
        drifts: By metric; empty where unknown.
        note: How it is known, or why it is not.
        gate_id: Of the gate that measured it.
    """

    release: str
    how: Literal["measured", "summed", "unknown"]
    drifts: tuple[Drift, ...] = ()
    note: str = ""
    gate_id: str | None = None

    @property
    def over(self) -> tuple[Drift, ...]:
        """The metrics that exceed their budget for certain: measured, not summed."""
        return tuple(d for d in self.drifts if d.over)

    @property
    def worst_first(self) -> tuple[Drift, ...]:
        return tuple(sorted(self.drifts, key=lambda d: (not d.over, -d.spent, d.metric)))


def creep_lines(creep: Creep) -> list[str]:
    """Return the section as lines: what is over, what has spent half of its budget, and the rest."""
    head = f"creep since {creep.release}"
    if not creep.drifts:
        return [f"{head}: {creep.note}"]
    shown = [d for d in creep.worst_first if d.over or d.spent >= 0.5]
    rest = len(creep.drifts) - len(shown)
    lines = [f"{head} ({creep.note}):"]
    for drift in shown:
        word = "OVER" if drift.over else "within"
        if not drift.over and drift.spent > 1:
            word = "perhaps over"
        bounds = interval(drift.low, drift.high)
        change = f"{percent(drift.effect)} {bounds}".rstrip()
        lines.append(
            f"  {drift.metric}: {change}, {word} the budget of "
            f"{percent(drift.budget, signed=False)}"
        )
    if rest:
        lines.append(f"  {rest}{' more' if shown else ''} within half of the budget")
    return lines


def creep_document(creep: Creep | None) -> dict[str, object] | None:
    """Return the section for JSON: ratios, null where not known."""
    if creep is None:
        return None
    return {
        "release": creep.release,
        "how": creep.how,
        "note": creep.note,
        "gate_id": creep.gate_id,
        "metrics": [
            {
                "metric": d.metric,
                "effect": d.effect,
                "low": d.low,
                "high": d.high,
                "budget": d.budget,
                "over": d.over,
            }
            for d in creep.worst_first
        ],
    }
