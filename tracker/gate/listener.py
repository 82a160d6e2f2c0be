"""The events of a gate's loop, and who receives them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from tracker.domain import Arm
from tracker.gate.complaint import Complaint
from tracker.measure.launch import LaunchResult
from tracker.stats import Verdict

__all__ = ["Listener", "Standing"]


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a gate stands after a valid pair.

    Attributes:
        pairs: Valid pairs so far.
        verdicts: By metric that votes, as they would be now.
        left: By metric that is still undecided, the further pairs that would probably decide it;
            None where two pairs have not shown the noise yet.
        seconds: Since the gate began here.
        seconds_per_pair: Of the pairs measured here, dropped ones included.
    """

    pairs: int
    verdicts: Mapping[str, Verdict]
    left: Mapping[str, int | None]
    seconds: float
    seconds_per_pair: float

    @property
    def pairs_left(self) -> int | None:
        """Return the pairs until the last undecided metric is probably decided; None: not known."""
        known = [count for count in self.left.values() if count is not None]
        return max(known, default=0) if len(known) == len(self.left) else None

    @property
    def seconds_left(self) -> float | None:
        """Return the seconds that `pairs_left` would take; None: not known."""
        return None if self.pairs_left is None else self.pairs_left * self.seconds_per_pair


class Listener(Protocol):
    """Receives the events of the loop, in order."""

    def resumed(self, pairs: int) -> None:
        """The gate goes on after `pairs` pairs that an earlier process measured."""

    def launching(self, pair: int, arm: Arm, bench: Sequence[str]) -> None: ...

    def launched(self, result: LaunchResult, pair: int | None, arm: Arm) -> None:
        """A launch is done; `pair` is None if it belongs to no valid pair."""

    def pair_done(self, standing: Standing) -> None: ...

    def pair_dropped(self, complaints: Sequence[Complaint]) -> None: ...
