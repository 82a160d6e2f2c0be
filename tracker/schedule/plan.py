"""What the service does and when. Pure: options in, planned jobs out."""

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
    if options.nightly is not None:
        hour, minute = options.nightly
        jobs.append(
            PlannedJob(
                id=f"{options.prefix}nightly",
                function="tracker.schedule.jobs:nightly",
                kwargs={**where, "launches": options.launches},
                trigger=CronTrigger(hour=hour, minute=minute),
                at_once=False,
                grace=6 * _HOUR,
            )
        )
    if options.prune is not None:
        hour, minute = options.prune
        jobs.append(
            PlannedJob(
                id=f"{options.prefix}prune",
                function="tracker.schedule.jobs:prune",
                kwargs={"root": options.root},
                trigger=CronTrigger(hour=hour, minute=minute),
                at_once=False,
                grace=None,
            )
        )
    return tuple(jobs)


def parse_interval(text: str) -> int:
    """Seconds of `90s`, `10m`, `2h` or `1d`.

    Raises:
        UsageError: It is none of these, or zero.
    """
    found = re.fullmatch(r"(\d{1,6})([smhd])", text.strip())
    if found is None or int(found[1]) == 0:
        raise UsageError(f"{text!r} is no interval; write 90s, 10m, 2h or 1d")
    return int(found[1]) * _UNITS[found[2]]


def parse_time(text: str) -> tuple[int, int] | None:
    """(hour, minute) of `02:00`; None for `off`.

    Raises:
        UsageError: It is neither.
    """
    if text.strip() == "off":
        return None
    found = re.fullmatch(r"(\d{1,2}):(\d{2})", text.strip())
    if found is None or int(found[1]) > 23 or int(found[2]) > 59:
        raise UsageError(f"{text!r} is no time of day; write 02:00, or off")
    return int(found[1]), int(found[2])
