"""The slowest requests of all launches of a gate together: shown, never judged."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from tracker.report.numbers import interval, percent, scale_for, scaled

__all__ = ["Tail", "tail_document", "tail_lines"]


@dataclass(frozen=True, slots=True)
class Tail:
    """A tail quantile of the pooled requests of one scenario.

    Attributes:
        scenario: The suite class.
        what: "TTFT p99" or "ITL p99".
        base: Seconds.
        head: Likewise.
        effect: head/base - 1; None where base is 0.
        low: Lower end of the 95 % interval of `effect`; None where `reason` says why.
        high: Upper end.
        reason: Why there is no interval, and how much would do.
    """

    scenario: str
    what: str
    base: float
    head: float
    effect: float | None
    low: float | None
    high: float | None
    reason: str = ""


def tail_lines(tails: tuple[Tail, ...]) -> list[str]:
    """Return the section as lines; none where there are no tails."""
    if not tails:
        return []
    lines = ["tails of all requests, without a vote (95% interval over launches):"]
    for tail in tails:
        divisor, unit = scale_for("s", tail.base, tail.head)
        values = f"{scaled(tail.base, divisor)} -> {scaled(tail.head, divisor)} {unit}"
        bounds = interval(tail.low, tail.high) or f"no interval: {tail.reason}"
        lines.append(f"  {tail.scenario} {tail.what}: {values}, {percent(tail.effect)} {bounds}")
    return lines


def tail_document(tails: tuple[Tail, ...]) -> list[dict[str, object]]:
    """Return the section for JSON: seconds and ratios, null where not known."""
    return [asdict(tail) for tail in tails]
