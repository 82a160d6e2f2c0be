"""Whether the members of a machine class agree, by their control workload and by their results. Pure.

Results of one class are judged together, so its members must be alike. Each launch runs a control
workload that no commit touches: the times of the members are compared directly. Where several
members measured the same commit, their results are compared as well.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from tracker.artifacts import control_seconds
from tracker.domain import MemberLaunch, MemberValue

__all__ = ["Disagreement", "disagreements", "sick_members"]

LEAST_DIFFERENCE = 0.03  # a smaller one makes no member sick, as it drops no pair of a gate
ERRORS = 5.0  # standard errors
LEAST_LAUNCHES = 5  # of a member
LEAST_MEMBERS = 3  # of two that differ, nothing says which is the sick one
_MAD = 1.4826  # median absolute deviation to standard deviation
_MEDIAN = 1.2533  # standard error of a median to that of a mean

Member = tuple[str, str]  # node, and the GPUs that it used ("" where none is known)


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A member of a class that differs from the others.

    Attributes:
        node: Its name.
        gpus: UUIDs of the GPUs that it used, as text; "" where none is known.
        what: What differs: a part of the control workload, or "results of the same commits".
        difference: Its time over that of the others, minus 1; of results, how much worse they are.
        launches: Of this member.
        is_sick: Whether there are enough other members to say that it is this one.
    """

    node: str
    gpus: str
    what: str
    difference: float
    launches: int
    is_sick: bool

    @property
    def text(self) -> str:
        """The reason in one sentence."""
        gpus = f" (GPU {self.gpus})" if self.gpus else ""
        return (
            f"{self.what}{gpus}: {self.difference:+.1%} against the other members of its class in "
            f"{self.launches} launches"
        )


def disagreements(
    launches: Iterable[MemberLaunch], values: Iterable[MemberValue] = ()
) -> list[Disagreement]:
    """Return the members that differ from the others of their class, the largest difference first.

    A member is compared with the median of the others' medians. It differs if it is off by more than
    3 % and by more than five standard errors.

    Args:
        launches: Of one machine class, with the headers of their artifacts.
        values: Results of one machine class.

    Small samples: fewer than 5 launches of a member, or one member alone, say nothing.
    """
    readings = _controls(launches)
    if residuals := _residuals(values):
        readings["results of the same commits"] = residuals
    found = [
        difference
        for what, by_member in readings.items()
        for difference in _differences(what, by_member)
    ]
    return sorted(found, key=lambda item: -abs(item.difference))


def sick_members(
    launches: Iterable[MemberLaunch], values: Iterable[MemberValue] = ()
) -> list[Disagreement]:
    """Return the largest disagreement of each node that is the sick one."""
    sick: dict[str, Disagreement] = {}
    for item in disagreements(launches, values):
        if item.is_sick:
            sick.setdefault(item.node, item)
    return list(sick.values())


def _controls(launches: Iterable[MemberLaunch]) -> dict[str, dict[Member, list[float]]]:
    """Return ln(seconds) of each part of the control workload, by member."""
    readings: dict[str, dict[Member, list[float]]] = defaultdict(lambda: defaultdict(list))
    for launch in launches:
        member = (launch.node, _gpus(launch.header))
        for part, seconds in control_seconds(launch.header).items():
            readings[f"control {part} of {launch.benchmark}"][member].append(math.log(seconds))
    return {what: dict(by_member) for what, by_member in readings.items()}


def _residuals(values: Iterable[MemberValue]) -> dict[Member, list[float]]:
    """Return how much worse each run's results are than the others' of the same commit, by member."""
    groups: dict[tuple[int, int], list[MemberValue]] = defaultdict(list)
    for value in values:
        if value.value > 0 and value.better is not None:
            groups[value.series_id, value.revision_id].append(value)
    runs: dict[tuple[str, int], list[float]] = defaultdict(list)
    for group in groups.values():
        if len({value.node for value in group}) < 2:
            continue
        middle = median(math.log(value.value) for value in group)
        for value in group:
            off = math.log(value.value) - middle
            runs[value.node, value.run_id].append(off if value.better == "lower" else -off)
    by_member: dict[Member, list[float]] = defaultdict(list)
    for (node, _), offs in runs.items():
        by_member[node, ""].append(fmean(offs))
    return dict(by_member)


def _differences(what: str, by_member: Mapping[Member, Sequence[float]]) -> list[Disagreement]:
    known = {member: logs for member, logs in by_member.items() if len(logs) >= LEAST_LAUNCHES}
    if len(known) < 2:
        return []
    medians = {member: median(logs) for member, logs in known.items()}
    found: list[Disagreement] = []
    for member, logs in known.items():
        others = [other for other in known if other != member]
        off = medians[member] - median(medians[other] for other in others)
        error = math.hypot(_error(logs), median(_error(known[other]) for other in others))
        if abs(off) > max(math.log1p(LEAST_DIFFERENCE), ERRORS * error):
            is_sick = len(known) >= LEAST_MEMBERS
            found.append(Disagreement(*member, what, math.expm1(off), len(logs), is_sick))
    return found


def _error(logs: Sequence[float]) -> float:
    """Return a robust standard error of the median."""
    middle = median(logs)
    spread = _MAD * median(abs(value - middle) for value in logs)
    return _MEDIAN * spread / math.sqrt(len(logs))


def _gpus(header: Mapping[str, object]) -> str:
    telemetry = header.get("telemetry")
    gpus = telemetry.get("gpus") if isinstance(telemetry, dict) else None
    if not isinstance(gpus, list):
        return ""
    return ", ".join(
        sorted(
            str(gpu["uuid"])
            for gpu in gpus
            if isinstance(gpu, dict) and gpu.get("uuid") and gpu.get("serves", True)
        )
    )
