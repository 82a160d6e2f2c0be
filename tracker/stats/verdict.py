"""What the gate says of one metric."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

__all__ = ["Better", "Difference", "Status", "Verdict"]

Better = Literal["lower", "higher"]
Status = Literal["pass", "regression", "improvement", "inconclusive"]


class Difference(NamedTuple):
    """head - base, signed as measured, in the unit of the metric; low and high are a 99 % interval.

    The interval is None below two pairs.
    """

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the pairs say of one metric.

    Attributes:
        status: "pass", "regression", "improvement", or "inconclusive" when neither is shown.
        effect: head/base - 1, signed as measured, after removing what a control explains: Hodges and
            Lehmann's centre of the log ratios. Where a value is zero or negative: the centre of
            the differences over the base's centre, or None where that is not positive.
        low: Lower end of the two-sided 99 % interval of `effect`; None below two pairs.
        high: Upper end.
        pairs: Pairs that have a value of this metric.
        reason: One sentence: why it is undecided, or what decided it.
        mde: Smallest slowdown that the look which decided it (or the latest) would have called
            with probability 0.95 at the noise seen; None where that look could call none. A pass
            without it excludes `detect`.
        difference: head - base, where a zero or negative value was judged by differences; None
            where all values are positive.
    """

    status: Status
    effect: float | None
    low: float | None
    high: float | None
    pairs: int
    reason: str
    mde: float | None
    difference: Difference | None = None
