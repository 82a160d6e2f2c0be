"""What the service was asked to do, and when a task is due. Pure: times in, times out."""

from __future__ import annotations

import platform
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from apscheduler.triggers.cron import CronTrigger

from tracker.errors import UsageError

__all__ = [
    "Daily",
    "Due",
    "Every",
    "Options",
    "due",
    "parse_interval",
    "parse_time",
]

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_STEP = timedelta(hours=3)
GRACE = timedelta(hours=6)  # by which a daily task may be late


@dataclass(frozen=True, slots=True)
class Options:
    """What `tracker schedule` was asked to do.

    Attributes:
        db: URL of the store.
        root: Directory of the project's checkout, absolute.
        project: Its name in the store.
        branches: Whose commits are measured.
        interval: Seconds between two looks for new commits.
        nightly: (hour, minute) of the repeat launches, local time; None: none.
        launches: Repeat launches of a branch's head a night.
        backfill: (hour, minute) at which older commits without a value are queued, local time;
            None: never.
        commits: Commits that one backfill queues at most.
        calibrate: (hour, minute) of the A/A gates of the first branch's head, local time; None: none.
        gates: A/A gates a night.
        budget: Device minutes a day on each machine class; A/A gates and older commits wait once
            they are spent. None: no limit.
        confirm: Whether new regressions are measured in pairs, and then bisected, by themselves.
        prune: (hour, minute) at which old worktrees and raw data go, local time; None: never.
        keep_days: Days for which raw samples and artifacts are kept whole; None: for ever.
        backup: (hour, minute) at which the store is exported, local time; None: never.
        backup_dir: Where to; None: `.pacekeeper/backups` of the checkout.
    """

    db: str
    root: str
    project: str
    branches: tuple[str, ...] = ("main",)
    interval: int = 30
    nightly: tuple[int, int] | None = (2, 0)
    launches: int = 3
    backfill: tuple[int, int] | None = None
    commits: int = 10
    calibrate: tuple[int, int] | None = None
    gates: int = 1
    budget: int | None = None
    confirm: bool = True
    prune: tuple[int, int] | None = None
    keep_days: int | None = None
    backup: tuple[int, int] | None = None
    backup_dir: str | None = None

    @property
    def service(self) -> str:
        """What the service is called in the store: the same after a restart."""
        return f"{platform.node()}:{self.root}"


@dataclass(frozen=True, slots=True)
class Every:
    """Due at once, and then after so many seconds."""

    seconds: int


@dataclass(frozen=True, slots=True)
class Daily:
    """Due at a local time of day; up to `grace` later where the service was not there."""

    hour: int
    minute: int
    grace: timedelta = GRACE


@dataclass(frozen=True, slots=True)
class Due:
    """A run that is due: the time that it is for, and whether it comes too late to happen."""

    at: datetime
    is_missed: bool = False


def due(when: Every | Daily, last: datetime | None, now: datetime) -> Due | None:
    """Return the run of a task that is due now, or None.

    Several runs that were missed are one. Across a change of daylight saving time a daily task
    runs once a day. A clock that was set back makes no task wait for the time that is gone.

    Args:
        when: The task's times.
        last: The time that its last run was for; None: a new task.
        now: With a timezone.
    """
    if isinstance(when, Every):
        passed = None if last is None else (now - last).total_seconds()
        return Due(now) if passed is None or passed >= when.seconds or passed < 0 else None
    trigger = CronTrigger(hour=when.hour, minute=when.minute)
    at = trigger.get_next_fire_time(None, now - timedelta(days=2))
    # In steps beyond the hour that a change of daylight saving time repeats.
    while (later := trigger.get_next_fire_time(None, at.astimezone(UTC) + _STEP)) <= now:
        at = later
    if last is None or at <= last:
        return None
    return Due(at, is_missed=now - at > when.grace)


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
