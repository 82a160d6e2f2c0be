"""Attempts at one revision reduced to one point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from tracker.domain import ResultStatus


@dataclass(frozen=True, slots=True)
class Attempt:
    """One stored result, as the reductions need it."""

    status: ResultStatus
    value: float | None
    ci_low: float | None
    ci_high: float | None
    started_at: datetime | None
    fingerprint_id: int | None
    row_id: int


def latest(attempts: Sequence[Attempt]) -> Attempt:
    """Return the attempt that started last; among unknown starts the one stored last."""
    return max(attempts, key=_when)


def middle(attempts: Sequence[Attempt]) -> float | None:
    """Return the median value of the attempts that gave one, or None."""
    values = [attempt.value for attempt in attempts if attempt.value is not None]
    return median(values) if values else None


def status_of(attempts: Sequence[Attempt]) -> ResultStatus:
    """Return "ok" where any attempt gave a value, else what became of the latest one."""
    if any(attempt.value is not None for attempt in attempts):
        return "ok"
    return latest(attempts).status


def _when(attempt: Attempt) -> tuple[bool, float, int]:
    started = attempt.started_at
    return (started is not None, started.timestamp() if started else 0.0, attempt.row_id)
