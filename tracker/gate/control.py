"""Whether the node itself moved between the two launches of a pair.

Each launch may run a control workload that no commit touches, just before and just after its load.
A pair whose arms' control times differ by more than the machine usually shows is dropped in both
arms and measured again: whatever its timings say, the machine said part of it.

The rule looks at the control alone and treats both arms alike, so it favours neither commit, and
the pairs that are left are as exchangeable as they were. What is usual is learned from the pairs
before, kept and dropped ones: a machine that always wobbles is measured as it is, more noisily.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from statistics import median

from tracker.domain import GateLaunch, Launch
from tracker.gate.validity import Complaint

__all__ = ["ControlWatch", "control_difference"]

FLOOR = 0.03  # a difference below this is never a moved node
REACH = 5.0  # robust standard deviations that are usual
SHARE = 0.8  # of the pairs known are usual, whatever their spread: most pairs are always kept
KNOWN = 8  # pairs until which nothing is dropped, for nothing is known to be usual
MEMORY = 30  # pairs; a node that changed for good is learned anew
_NORMAL = 1.4826  # median absolute deviation to standard deviation

Launched = Launch | GateLaunch


def control_difference(base: Sequence[Launched], head: Sequence[Launched]) -> float | None:
    """Return the largest |ln(head/base)| of the control's times over scenarios and parts.

    A launch's time is the geometric mean of before and after. None where no scenario that both
    arms ran has control times.
    """
    ours = {launch.benchmark: _times(launch.header) for launch in base}
    theirs = {launch.benchmark: _times(launch.header) for launch in head}
    differences = [
        abs(theirs[scenario][part] - ours[scenario][part])
        for scenario in ours.keys() & theirs.keys()
        for part in ours[scenario].keys() & theirs[scenario].keys()
    ]
    return max(differences, default=None)


class ControlWatch:
    """Remembers how much the control's times differ within pairs, and says what is too much.

    Args:
        known: Differences of earlier pairs of this machine, oldest first.
    """

    def __init__(self, known: Iterable[float] = ()) -> None:
        self._known = deque(known, maxlen=MEMORY)

    @property
    def usual(self) -> float:
        """The largest difference that is usual; infinite until `KNOWN` pairs are known."""
        if len(self._known) < KNOWN:
            return math.inf
        ordered = sorted(self._known)
        most = ordered[math.ceil(SHARE * len(ordered)) - 1]
        return max(FLOOR, most, REACH * _NORMAL * median(ordered))

    def complaints(self, base: Sequence[Launched], head: Sequence[Launched]) -> list[Complaint]:
        """Return the complaint against a pair during which the node moved; learn from the pair."""
        difference = control_difference(base, head)
        if difference is None:
            return []
        usual = self.usual
        self._known.append(difference)
        if difference <= usual:
            return []
        text = (
            f"the node itself moved: its control workload differs by {math.expm1(difference):.1%} "
            f"between the arms, {math.expm1(usual):.1%} is usual here"
        )
        return [Complaint("node", ("control",), text)]


def _times(header: Mapping[str, object]) -> dict[str, float]:
    """Log seconds by part of the control; empty where the launch ran none."""
    control = header.get("control")
    if not isinstance(control, dict):
        return {}
    sides = [side for side in control.values() if isinstance(side, dict)]
    if not sides:
        return {}
    return {
        part: sum(math.log(side[part]) for side in sides) / len(sides)
        for part in sides[0]
        if all(_positive(side.get(part)) for side in sides)
    }


def _positive(value: object) -> bool:
    return isinstance(value, int | float) and 0 < value < math.inf
