"""The limit that the project's gate sets for a metric: how slow it may ever be. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from tracker.domain import GateInfo, SeriesInfo

__all__ = ["limit_of"]

_BASE_UNITS = ("s", "seconds", "1", "")  # a policy states its limits in these


def limit_of(series: SeriesInfo, gates: Iterable[GateInfo]) -> float | None:
    """The absolute limit of a series in its unit, by the policy of the newest gate that has any.

    Args:
        series: Whose limit.
        gates: Of the project, newest first; their policy maps patterns of names to values.

    Returns:
        None where no gate has run, none states a limit for this metric, or its unit is another.
    """
    if series.unit not in _BASE_UNITS:
        return None
    for gate in gates:
        limits = gate.policy.get("limits")
        if isinstance(limits, Mapping) and limits:
            fitting = [
                value
                for pattern, value in limits.items()
                if isinstance(value, int | float) and re.search(pattern, series.metric)
            ]
            return float(fitting[-1]) if fitting else None
    return None
