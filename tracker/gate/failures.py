"""Metrics that the launches of a pair fail to give, and in which commit. Pure but for reading logs.

Skipped is not failed: what a suite declines to measure this time is left out of the pair and no
more. A voting metric that BASE gives and HEAD fails is HEAD's doing, if the next pair says so again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

from tracker.domain import Arm
from tracker.errors import MeasurementError
from tracker.gate.policy import Policy
from tracker.measure.launch import LaunchResult, benchmarks_by_metric
from tracker.report import Missing

__all__ = ["failures_of", "with_log", "without_lost_proof"]

_LINES = 12  # of a log in a report
_TAIL = 64 * 1024  # bytes of a log that are looked at

Launched = LaunchResult | MeasurementError


def failures_of(
    launched: Mapping[Arm, Launched], policy: Policy, pending: Collection[str] = ()
) -> list[Missing]:
    """Return every metric that one launch of a pair failed to give, in the order of the suites.

    Args:
        launched: What came of both launches; an error where a whole launch failed.
        policy: Says which metrics vote.
        pending: Undecided metrics: they fail where neither launch knows of them.
    """
    base, head = launched["base"], launched["head"]
    known = {
        name: info
        for arm in (head, base)
        if isinstance(arm, LaunchResult)
        for name, info in benchmarks_by_metric(arm).items()
    }
    of_base, of_head = _Arm(base), _Arm(head)
    failures: list[Missing] = []
    for name in dict.fromkeys((*known, *pending)):
        where = _where(of_base, of_head, name, is_pending=name in pending)
        if where is None:
            continue
        reason = (of_head if where == "head" else of_base).reason(name)
        votes = name not in known or policy.metric(name, known[name]).vote
        failures.append(Missing(name, where, reason, fails=votes))
    return failures


def without_lost_proof(
    launched: Mapping[Arm, Launched], failures: Iterable[Missing]
) -> dict[Arm, Launched]:
    """Return the launches; one in which a voting metric fails need not have been seen to run.

    The process that imported the commit's code may be the one that crashed or was stopped, and
    took its record with it. That the metric fails is what counts; the missing proof is a note.
    """
    failing = {failure.where for failure in failures if failure.fails}
    kept: dict[Arm, Launched] = {}
    for arm, launch in launched.items():
        if isinstance(launch, LaunchResult) and failing & {arm, "both"}:
            unseen = tuple(fault.text for fault in launch.faults if fault.kind == "unseen")
            faults = tuple(fault for fault in launch.faults if fault.kind != "unseen")
            launch = replace(launch, faults=faults, notes=(*launch.notes, *unseen))
        kept[arm] = launch
    return kept


def with_log(missing: Missing, launched: Launched) -> Missing:
    """Return a failure with the last lines that its launch wrote of it."""
    if isinstance(launched, LaunchResult):
        benchmark = missing.metric.partition("(")[0]
        lines = next((f.log for f in launched.failures if f.name == benchmark), ())
        return replace(missing, log=lines[-_LINES:] or _last_lines(launched.log))
    return replace(missing, log=_last_lines(launched.log) if launched.log else ())


class _Arm:
    """What one launch says of a metric."""

    def __init__(self, launched: Launched) -> None:
        self._error = launched if isinstance(launched, MeasurementError) else None
        result = launched if isinstance(launched, LaunchResult) else None
        self.values: Collection[str] = result.values() if result else ()
        self.skipped: Collection[str] = result.skipped() if result else ()
        self._failed: Mapping[str, str] = result.failed() if result else {}

    def fails(self, name: str) -> bool:
        return self._error is not None or name in self._failed

    def reason(self, name: str) -> str:
        return str(self._error) if self._error else self._failed.get(name, "no value")


def _where(
    base: _Arm, head: _Arm, name: str, *, is_pending: bool
) -> Literal["base", "head", "both"] | None:
    if name in base.values:
        fails = name not in head.values and name not in head.skipped
        return "head" if fails else None
    if name in head.values or name in head.skipped:
        return "base" if base.fails(name) else None
    if base.fails(name) or head.fails(name):
        return "both"
    return "both" if is_pending and name not in base.skipped else None


def _last_lines(log: Path) -> tuple[str, ...]:
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _TAIL))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ()
    lines = [line.rstrip() for line in text.splitlines()]
    return tuple(line for line in lines if line)[-_LINES:]
