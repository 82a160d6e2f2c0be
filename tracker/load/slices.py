"""A load in time slices: was it stationary, or did it drift? Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from statistics import median
from typing import Any

from tracker.load.metrics import TRIM, quantile
from tracker.load.records import RequestRecord

__all__ = ["COUNT", "LEAST_TOKENS", "time_slices", "trend"]

COUNT = 10
LEAST_TOKENS = 20  # of a slice, below which it says nothing
LEAST_CHANGE = 0.1  # of the median, over the whole load, to be called a drift
# Mann-Kendall's S for ten values, two-sided 1 %: |S| >= 29 has probability .0091 by chance alone.
_SURE = 29


def time_slices(records: Sequence[RequestRecord]) -> dict[str, Any]:
    """Return tokens per second and the median gap between tokens in ten equal slices of the load.

    Ramp-up and drain, a tenth of the load at either end, are left out.

    Returns:
        ``slices`` and ``trend``, ``"stationary"`` or ``"drifting"``; ``trend`` is None where a slice has
        too few tokens to say.
    """
    times = sorted(t for r in records if not r.failure for t in r.token_times)
    if len(times) < 2:
        return {"slices": [], "trend": None}
    start, end = min(r.submitted for r in records), times[-1]
    low, high = start + TRIM * (end - start), end - TRIM * (end - start)
    width = (high - low) / COUNT
    if not width > 0:
        return {"slices": [], "trend": None}

    def place(at: float) -> int:
        return int((at - low) / width)

    tokens = [0] * COUNT
    gaps: list[list[float]] = [[] for _ in range(COUNT)]
    for record in records:
        if record.failure:
            continue
        for at, gap in zip(record.token_times, (None, *record.gaps), strict=False):
            if low <= at < high:
                tokens[place(at)] += 1
                if gap is not None:
                    gaps[place(at)].append(gap)
    rates = [count / width for count in tokens]
    return {
        "slices": [
            {"start": low + i * width, "throughput": rates[i], "itl_p50": quantile(gaps[i], 0.5)}
            for i in range(COUNT)
        ],
        "trend": trend(rates) if min(tokens) >= LEAST_TOKENS else None,
    }


def trend(values: Sequence[float]) -> str:
    """Return whether ten values drift: a sure direction, and a tenth or more from first to last.

    Source:
        Mann 1945; Kendall 1975, the exact distribution of S. The slope is Theil and Sen's.
    """
    pairs = list(combinations(range(len(values)), 2))
    score = sum((values[j] > values[i]) - (values[j] < values[i]) for i, j in pairs)
    slope = median((values[j] - values[i]) / (j - i) for i, j in pairs)
    middle = median(values)
    change = abs(slope) * (len(values) - 1) / middle if middle else 0.0
    return "drifting" if abs(score) >= _SURE and change >= LEAST_CHANGE else "stationary"
