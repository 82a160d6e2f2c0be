"""Latencies of single requests, pooled over the launches of a commit: shape and tails. Pure.

Requests of one launch are not independent, so nothing here is a verdict.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import median

import numpy as np
import pandas as pd

from dashboard.units import scale_for
from tracker.domain import RequestTimes

__all__ = ["MEASURES", "latencies", "position_frame", "quantile_frame", "tail_frame"]

MEASURES = ("TTFT", "ITL")
_QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p99.9": 0.999}
_DRAWN = 300  # points of a curve
_POSITIONS = 60  # of tokens, at most


def latencies(requests: Iterable[RequestTimes], measure: str) -> list[float]:
    """Seconds to the first token of every request, or between its consecutive tokens."""
    if measure == "TTFT":
        return [request.ttft for request in requests if request.ttft is not None]
    return [gap for request in requests for gap in request.gaps]


def tail_frame(sides: Mapping[str, Sequence[float]]) -> pd.DataFrame:
    """The share of values that are larger, by side: 1 at the fastest, one of all at the slowest."""
    scale = scale_for("s", [value for values in sides.values() for value in values])
    frames = []
    for name, values in sides.items():
        ordered = np.sort(np.asarray(values, dtype=float))
        count = len(ordered)
        if not count:
            continue
        # Evenly spaced in the logarithm of the share, so that the tail has as many points as the rest.
        shares = np.geomspace(1.0, 1.0 / count, min(_DRAWN, count))
        places = np.clip(np.ceil(count * (1 - shares)).astype(int), 0, count - 1)
        frames.append(
            pd.DataFrame({"side": name, "value": ordered[places] / scale.divisor, "slower": shares})
        )
    if not frames:
        return pd.DataFrame(columns=["side", "value", "slower"])
    return pd.concat(frames).assign(unit=scale.unit)


def quantile_frame(measures: Mapping[str, Mapping[str, Sequence[float]]]) -> pd.DataFrame:
    """One row a measure and side: how many values, quantiles and the largest, as texts.

    A quantile that fewer values than would lie beyond it cannot tell is "–".
    """
    rows = []
    for measure, sides in measures.items():
        scale = scale_for("s", [value for values in sides.values() for value in values])
        for name, values in sides.items():
            count = len(values)
            known = {
                label: scale.text(float(np.quantile(values, share)))
                if count * (1 - share) >= 1 - 1e-9
                else "–"
                for label, share in _QUANTILES.items()
            }
            largest = scale.text(max(values, default=math.nan))
            rows.append(
                {"measure": measure, "side": name, "values": count, **known, "max": largest}
            )
    return pd.DataFrame(rows)


def position_frame(sides: Mapping[str, Iterable[RequestTimes]]) -> pd.DataFrame:
    """The median time before each token of the output after the first, by its position and side."""
    by_place: dict[tuple[str, int], list[float]] = {}
    for name, requests in sides.items():
        for request in requests:
            for position, gap in enumerate(request.gaps, start=2):
                by_place.setdefault((name, position), []).append(gap)
    longest = max((position for _, position in by_place), default=0)
    width = max(1, math.ceil(longest / _POSITIONS))
    binned: dict[tuple[str, int], list[float]] = {}
    for (name, position), gaps in by_place.items():
        binned.setdefault((name, (position - 2) // width * width + 2), []).extend(gaps)
    middle = {place: median(gaps) for place, gaps in binned.items()}
    scale = scale_for("s", middle.values())
    return pd.DataFrame(
        [
            {"side": name, "position": position, "value": scale(value), "unit": scale.unit}
            for (name, position), value in sorted(middle.items())
        ],
        columns=["side", "position", "value", "unit"],
    )
