"""Absolute limits: what a user may experience, whatever it was before."""

from __future__ import annotations

from tracker.gate.policy import Policy
from tracker.gate.result import Judged

__all__ = ["broken_limit"]


def broken_limit(
    judged: Judged, base: float | None, head: float | None, policy: Policy
) -> tuple[float, bool] | None:
    """Return the limit that `head` breaks and whether that blocks, or None.

    A limit is the worst value allowed: the highest, or the lowest where higher is better. One that
    the project did not ask for blocks only where `base` keeps it.
    """
    limit = policy.limit(judged.name, judged.benchmark.unit)
    if limit is None or head is None:
        return None

    def breaks(value: float | None) -> bool:
        if value is None:
            return False
        return value < limit.worst if judged.policy.better == "higher" else value > limit.worst

    if not breaks(head):
        return None
    return limit.worst, limit.stated or not breaks(base)
