"""What the gate says of one metric."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Better", "Status", "Verdict"]

Better = Literal["lower", "higher"]
Status = Literal["pass", "regression", "improvement", "inconclusive"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the pairs say of one metric.

    Attributes:
        status: "pass", "regression", "improvement", or "inconclusive" when neither is shown.
        effect: head/base - 1, signed as measured: Hodges and Lehmann's centre of the log ratios,
            less what a control explains of them; None where a zero makes a ratio meaningless.
        low: Lower end of the two-sided 99 % interval of `effect`; None below two pairs.
        high: Upper end.
        pairs: Pairs that carried a value of this metric.
        reason: One sentence: why it is undecided, or what decided it.
        mde: Smallest slowdown that the look which decided it (or the latest) would have called
            with probability 0.95 at the noise seen; None where that look could call none. A pass
            without it excludes `detect`.
    """

    status: Status
    effect: float | None
    low: float | None
    high: float | None
    pairs: int
    reason: str
    mde: float | None
