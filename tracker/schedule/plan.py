"""The jobs of the service and their times. Pure: options in, planned jobs out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from tracker.errors import UsageError

__all__ = ["Options", "PlannedJob", "parse_interval", "parse_time", "plan"]

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_HOUR = 3600
REQUESTED_SECONDS = 15  # between two looks for work that people asked for


@dataclass(frozen=True, slots=True)
class Options:
    """What `tracker schedule` was asked to do.

    Attributes:
        db: URL of the store.
        root: Directory of the project's checkout, absolute.
        project: Its name in the store.
        machine: Name the results carry.
        branch: Whose commits are measured.
        interval: Seconds between two looks for new commits.
        nightly: (hour, minute) of the repeat launches, local time; None: none.
        launches: Repeat launches of the branch's head a night.
        backfill: (hour, minute) at which older commits without a value are measured, local time;
            None: never.
        commits: Commits that one backfill measures at most.
        calibrate: (hour, minute) of the A/A gates of the branch's head, local time; None: none.
        gates: A/A gates a night.
        prune: (hour, minute) at which old worktrees are removed, local time; None: never.
    """

    db: str
    root: str
    project: str
    machine: str
    branch: str = "main"
    interval: int = 600
    nightly: tuple[int, int] | None = (2, 0)
    launches: int = 3
    backfill: tuple[int, int] | None = None
    commits: int = 10
    calibrate: tuple[int, int] | None = None
    gates: int = 1
    prune: tuple[int, int] | None = None

    @property
    def prefix(self) -> str:
        """Of the ids of this service's jobs; several machines may share one store."""
        return f"{self.project}/{self.machine}/"


@dataclass(frozen=True, slots=True)
class PlannedJob:
    """A job as it should stand in the job store.

    Attributes:
        id: Unique in the store.
        function: "module:name" of a function that is called with `kwargs`, which are plain.
        at_once: Whether a new job is due immediately rather than at its trigger's first time.
        grace: Seconds by which a run may be late and still happen; None: however late.
    """

    id: str
    function: str
    kwargs: Mapping[str, str | int]
    trigger: BaseTrigger
    at_once: bool
    grace: int | None


def plan(options: Options) -> tuple[PlannedJob, ...]:
    """The jobs that `options` ask for."""
    where: dict[str, str | int] = {
        "db": options.db,
        "root": options.root,
        "project": options.project,
        "machine": options.machine,
        "branch": options.branch,
    }
    jobs = [
        PlannedJob(
            id=f"{options.prefix}new-commits",
            function="tracker.schedule.jobs:new_commits",
            kwargs=where,
            trigger=IntervalTrigger(seconds=options.interval),
            at_once=True,
            grace=None,
        )
    ]
    asked = {name: value for name, value in where.items() if name != "branch"}
    jobs.append(
        PlannedJob(
            id=f"{options.prefix}requested",
            function="tracker.schedule.requested:requested",
            kwargs=asked,
            trigger=IntervalTrigger(seconds=REQUESTED_SECONDS),
            at_once=True,
            grace=None,
        )
    )
    measuring = (
        ("nightly", options.nightly, {"launches": options.launches}),
        ("backfill", options.backfill, {"commits": options.commits}),
        ("calibrate", options.calibrate, {"gates": options.gates}),
    )
    for name, time, how in measuring:
        if time is not None:
            jobs.append(_daily(options, name, time, {**where, **how}, grace=6 * _HOUR))
    if options.prune is not None:
        jobs.append(_daily(options, "prune", options.prune, {"root": options.root}, grace=None))
    return tuple(jobs)


def _daily(
    options: Options,
    name: str,
    time: tuple[int, int],
    kwargs: Mapping[str, str | int],
    *,
    grace: int | None,
) -> PlannedJob:
    hour, minute = time
    return PlannedJob(
        id=f"{options.prefix}{name}",
        function=f"tracker.schedule.jobs:{name}",
        kwargs=kwargs,
        trigger=CronTrigger(hour=hour, minute=minute),
        at_once=False,
        grace=grace,
    )


def parse_interval(text: str) -> int:
    """Seconds of `90s`, `10m`, `2h` or `1d`.

    Raises:
        UsageError: It is none of these, or zero.
    """
    match = re.fullmatch(r"(\d{1,6})([smhd])", text.strip())
    if match is None or int(match[1]) == 0:
        raise UsageError(f"{text!r} is no interval; write 90s, 10m, 2h or 1d")
    return int(match[1]) * _UNITS[match[2]]


def parse_time(text: str) -> tuple[int, int] | None:
    """(hour, minute) of `02:00`; None for `off`.

    Raises:
        UsageError: It is neither.
    """
    if text.strip() == "off":
        return None
    match = re.fullmatch(r"(\d{1,2}):(\d{2})", text.strip())
    if match is None or int(match[1]) > 23 or int(match[2]) > 59:
        raise UsageError(f"{text!r} is no time of day; write 02:00, or off")
    return int(match[1]), int(match[2])
