"""The highest arrival rate at which a load holds its limits: one number a team can track."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from tracker.load.errors import ScenarioError
from tracker.load.metrics import Slo
from tracker.load.scenario import Independent, OpenLoop, Scenario

__all__ = ["LIMITS", "MAX_ERROR_RATE", "Capacity", "highest_rate", "holds", "probe_scenario"]

# What a user may experience: TTFT, time per token; and the share of requests that may fail.
LIMITS = Slo(ttft=2.0, tpot=0.5)
MAX_ERROR_RATE = 0.005
LOWEST_SHARE = 16


@dataclass(frozen=True, slots=True)
class Capacity:
    """A search over arrival rates.

    Attributes:
        scenario: The load at the rate to begin with, an ``OpenLoop``. The first of its service levels
            are the limits, to be held by 95 % of the requests.
        step: A rate is known when the next higher one that fails is at most so many times it, > 1.
        most_loads: Loads at most, >= 2.

    Raises:
        ScenarioError: Another kind of load or work; ``step`` or ``most_loads`` out of range.
    """

    scenario: Scenario
    step: float = 1.15
    most_loads: int = 12

    def __post_init__(self) -> None:
        if not isinstance(self.scenario.load, OpenLoop):
            raise ScenarioError("a search over arrival rates needs an OpenLoop")
        if not isinstance(self.scenario.workload, Independent):
            raise ScenarioError("a search over arrival rates needs Independent requests")
        if not self.step > 1.0 or self.most_loads < 2:
            raise ScenarioError("give a step above 1 and at least 2 loads")

    @property
    def limits(self) -> Slo:
        """What 95 % of the requests must hold."""
        return self.scenario.slos[0]


def probe_scenario(search: Capacity, rate: float, number: int) -> Scenario:
    """Return the load at ``rate``; it ends early where it cannot hold the limits any more.

    A load that holds them ends, at the latest, when its last request has taken as long as they allow:
    what is unfinished by then has timed out, and the load does not hold.

    Args:
        search: What is searched.
        rate: Requests a second.
        number: Of the load in the search: another seed each, so that no prompt is in the cache.
    """
    work = search.scenario.workload
    assert isinstance(work, Independent)
    arrivals = work.requests / rate
    slowest = search.limits.ttft + search.limits.tpot * work.output.at(1.0)
    return replace(
        search.scenario,
        load=OpenLoop(rate),
        seed=search.scenario.seed + number,
        limit=arrivals + slowest,
        max_error_rate=0.999,  # failures are the answer here, not a fault of the measurement
    )


def holds(metrics: Mapping[str, float | None], limits: Slo) -> bool:
    """Return whether a load held the limits; one without a latency did not.

    A single-token output has no time per token and is held to the first alone.
    """
    ttft, tpot, errors = (metrics.get(name) for name in ("ttft_p95", "tpot_p95", "error_rate"))
    if ttft is None or errors is None or errors > MAX_ERROR_RATE:
        return False
    return ttft <= limits.ttft and (tpot is None or tpot <= limits.tpot)


def highest_rate(
    holds_at: Callable[[float], bool], start: float, *, step: float, most_loads: int
) -> float | None:
    """Return the highest rate found to hold; None where none down to a sixteenth of ``start`` did.

    The rate doubles (or halves) from ``start`` until one holds and the next does not, then the gap
    between them halves on a logarithmic scale until it is no wider than ``step``. Loads that hold stay
    below the limits and loads that do not are ended early, so that no time goes into saturation.
    """
    low: float | None = None
    high: float | None = None
    rate = start
    for _ in range(most_loads):
        if rate < start / LOWEST_SHARE:
            break  # such a load takes that many times as long
        if holds_at(rate):
            low = rate
        else:
            high = rate
        if low is not None and high is not None:
            if high / low <= step:
                break
            rate = math.sqrt(low * high)
        else:
            rate = rate * 2 if high is None else rate / 2
    return low
