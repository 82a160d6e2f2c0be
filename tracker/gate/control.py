"""What the control workload of two launches says about the machine they ran on.

Each launch may run a control workload that no commit touches, just before and just after its load.
Its times are used to remove machine noise (`tracker.stats.covariate`). A pair whose arms differ in
their control times by more than is usual on the machine is dropped in both arms and measured again,
because part of its difference is the machine's.

That rule uses the control alone and treats both arms alike, so it favours neither commit, and
the pairs that are left are as exchangeable as before. What is usual is learned from earlier pairs,
the dropped ones included: a machine whose speed always varies is measured as it is.
"""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean, median, stdev

from tracker.artifacts import control_seconds
from tracker.domain import GateLaunch, Launch
from tracker.gate.complaint import Complaint
from tracker.stats.contrasts import Arms

__all__ = [
    "ControlWatch",
    "Controls",
    "control_difference",
    "control_differs",
    "control_times",
    "controls_of",
]

LEAST_DIFFERENCE = 0.03  # a smaller difference never drops a pair
USUAL_DEVIATIONS = 5.0  # robust standard deviations that are usual
USUAL_SHARE = (
    0.8  # of the known pairs are usual, whatever their spread, so that most pairs are kept
)
LEAST_PAIRS = 8  # pairs that must be known before one is dropped
DIFFERENT_ERRORS = 6.0  # standard errors at which the control differs between the arms
REMEMBERED_PAIRS = 30  # pairs; after so many, a machine that changed for good counts as usual
_NORMAL = 1.4826  # median absolute deviation to standard deviation

Launched = Launch | GateLaunch
Controls = Mapping[str, Mapping[str, Arms]]  # seconds by scenario and part


def control_times(base: Sequence[Launched], head: Sequence[Launched]) -> Controls:
    """Return the seconds that each part of the control took in (base, head), by scenario.

    A launch's time is the geometric mean of before and after its load. What one arm lacks is left
    out.
    """
    of_base = {launch.benchmark: control_seconds(launch.header) for launch in base}
    of_head = {launch.benchmark: control_seconds(launch.header) for launch in head}
    return {
        scenario: {
            part: (times[part], of_head[scenario][part])
            for part in times
            if part in of_head[scenario]
        }
        for scenario, times in of_base.items()
        if scenario in of_head
    }


def control_difference(times: Controls) -> float | None:
    """Return the largest |ln(head/base)| of the control's times; None where there are none."""
    return max(
        (
            abs(math.log(head) - math.log(base))
            for parts in times.values()
            for base, head in parts.values()
        ),
        default=None,
    )


def controls_of(metrics: Mapping[str, str], times: Controls) -> dict[str, Mapping[str, Arms]]:
    """Return the control's times in the launches of each metric.

    Args:
        metrics: The benchmark's name by metric; the suite before its last dot is the scenario.
        times: Of one pair, by scenario.
    """
    suites = {name: benchmark.rpartition(".")[0] for name, benchmark in metrics.items()}
    return {name: times[suite] for name, suite in suites.items() if suite in times}


def control_differs(pairs: Sequence[Controls]) -> list[str]:
    """Return a warning for each scenario whose control itself is slower or faster with the head.

    No commit should touch it, but one that leaves threads running does. What that costs is then
    taken for machine noise, so the reader of the verdict has to know.
    """
    ratios: dict[tuple[str, str], list[float]] = defaultdict(list)
    for times in pairs:
        for scenario, parts in times.items():
            for part, (base, head) in parts.items():
                ratios[scenario, part].append(math.log(head) - math.log(base))
    worst: dict[str, tuple[float, str, int]] = {}
    for (scenario, part), logs in ratios.items():
        size = abs(median(logs))
        if (
            len(logs) >= LEAST_PAIRS
            and size > LEAST_DIFFERENCE
            and abs(fmean(logs)) > DIFFERENT_ERRORS * _error(logs)
        ):
            shown = f"{part} {math.expm1(median(logs)):+.1%}"
            worst[scenario] = max(worst.get(scenario, (0.0, "", 0)), (size, shown, len(logs)))
    return [
        f"{scenario}: the control workload itself differs between the commits ({shown} in the "
        f"median of {count} pairs); does one leave something running? its cost may be taken for "
        "machine noise"
        for scenario, (_, shown, count) in worst.items()
    ]


def _error(logs: Sequence[float]) -> float:
    return stdev(logs) / math.sqrt(len(logs))


class ControlWatch:
    """Remembers how much the control's times differ within pairs, and decides what is too much.

    Args:
        known: Differences of earlier pairs of this machine, oldest first.
    """

    def __init__(self, known: Iterable[float] = ()) -> None:
        self._known = deque(known, maxlen=REMEMBERED_PAIRS)

    @property
    def usual(self) -> float:
        """The largest difference that is usual; infinite until `LEAST_PAIRS` pairs are known."""
        if len(self._known) < LEAST_PAIRS:
            return math.inf
        ordered = sorted(self._known)
        most = ordered[math.ceil(USUAL_SHARE * len(ordered)) - 1]
        return max(LEAST_DIFFERENCE, most, USUAL_DEVIATIONS * _NORMAL * median(ordered))

    def complaints(self, times: Controls) -> list[Complaint]:
        """Return the complaint against a pair whose machine changed speed; remember the pair."""
        difference = control_difference(times)
        if difference is None:
            return []
        usual = self.usual
        self._known.append(difference)
        if difference <= usual:
            return []
        text = (
            f"the machine changed speed: its control workload differs by {math.expm1(difference):.1%} "
            f"between the arms, {math.expm1(usual):.1%} is usual here"
        )
        return [Complaint("node", ("control",), text)]
