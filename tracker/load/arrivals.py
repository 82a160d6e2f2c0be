"""When requests arrive in an open loop."""

from __future__ import annotations

import math
import random

from tracker.load.errors import ScenarioError

__all__ = ["bursts", "poisson", "ramp"]


def poisson(count: int, rate: float, rng: random.Random) -> list[float]:
    """Return ``count`` rising arrival times, seconds, of a Poisson process of ``rate`` a second.

    The gaps are exponential, then stretched so that the last arrival is at ``(count - 1) / rate``
    exactly: a seed changes the order of the gaps, never the load. The first request arrives at 0.

    Raises:
        ScenarioError: ``rate`` is not above 0 or ``count`` is below 1.
    """
    if not rate > 0:
        raise ScenarioError(f"arrival rate is {rate!r}; give requests a second, above 0")
    if count < 1:
        raise ScenarioError(f"{count} requests: give at least 1")
    gaps = [rng.expovariate(rate) for _ in range(count - 1)]
    stretch = (count - 1) / rate / sum(gaps) if gaps else 0.0
    times = [0.0]
    for gap in gaps:
        times.append(times[-1] + gap * stretch)
    return times


def bursts(count: int, rate: float, size: int) -> list[float]:
    """Return ``count`` arrival times of groups of ``size``, ``rate`` requests a second over all."""
    return [i // size * size / rate for i in range(count)]


def ramp(count: int, start: float, end: float) -> list[float]:
    """Return ``count`` arrival times whose rate goes evenly from ``start`` to ``end`` a second.

    The i-th request arrives when the area under the rate is i: at constant rates i / rate.
    """
    if start == end:
        return [i / start for i in range(count)]
    # After t seconds start * t + (end - start) * t^2 / (2 T) have arrived, and count - 1 after T.
    whole = 2 * (count - 1) / (start + end)
    slope = (end - start) / whole if whole else 0.0
    if not slope:
        return [0.0] * count
    return [(math.sqrt(start * start + 2 * slope * i) - start) / slope for i in range(count)]
