"""The service's work: jobs, attempts at them, its tasks, and the members of a machine class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from tracker.domain.history import RevisionInfo
from tracker.domain.metric import Better

JobKind = Literal["confirm", "bisect", "verify fix", "run", "calibrate"]
JobState = Literal["queued", "submitted", "running", "cancelling", "done", "failed", "cancelled"]
ACTIVE_JOBS: tuple[JobState, ...] = ("queued", "submitted", "running", "cancelling")

# Of jobs: the lowest number is served first. What people ask for comes before all that the service
# queues by itself; A/A gates and older commits get what the day's budget of device time leaves.
PRIORITY_ASKED = 0
PRIORITY_NEW = 10
PRIORITY_CONFIRM = 20
PRIORITY_NIGHTLY = 30
PRIORITY_BUDGETED = 40
PRIORITY_CALIBRATE = PRIORITY_BUDGETED
PRIORITY_BACKFILL = 50


@dataclass(frozen=True, slots=True)
class JobClaim:
    """The right of one process to work on a job, and to write what it measures."""

    job_id: int
    attempt: int


@dataclass(frozen=True, slots=True)
class JobInfo:
    """Work for a machine class: launches of a commit, A/A gates, a paired run, a bisection, the check of a fix.

    Attributes:
        machine: The machine class; the service that has an executor of it hands the job out.
        revision: The commit that it is about.
        arguments: Of its kind, as plain values.
        started_at: Of the present attempt; None before its process has begun.
        attempts: Number of the present attempt; above 1 after one was cut off.
        result: What came of it, in words; None before its end.
        gate_id: The paired run that it made.
        priority: The lowest number is served first.
        taken_by: The service that handed it out.
        executor: Name of the executor that it was handed to.
        handle: What the executor calls it.
        node: Where the present attempt runs.
        note: Why it waits, or what became of an earlier attempt.
        seconds: Device time of the attempts that have ended.
    """

    id: int
    project: str
    machine: str
    kind: JobKind
    revision: RevisionInfo
    arguments: dict[str, object]
    state: JobState
    asked_by: str
    asked_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    attempts: int = 0
    result: str | None = None
    gate_id: str | None = None
    priority: int = PRIORITY_ASKED
    taken_by: str | None = None
    executor: str | None = None
    handle: str | None = None
    node: str | None = None
    note: str | None = None
    seconds: float = 0.0

    @property
    def claim(self) -> JobClaim:
        """Of the present attempt."""
        return JobClaim(self.id, self.attempts)

    @property
    def key(self) -> str:
        """Idempotency key that the job's results carry, the same in every attempt."""
        return f"{self.id}.{round(self.asked_at.timestamp() * 1000)}"


@dataclass(frozen=True, slots=True)
class TaskInfo:
    """When a task of a service last ran.

    Attributes:
        service: Of which machine and checkout.
        name: Of the task.
        due_at: The time that the run was for.
        finished_at: When it ended; None where it was cut off.
        problem: Why it failed, or what it could not do.
    """

    service: str
    name: str
    due_at: datetime
    finished_at: datetime | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class QuarantinedNode:
    """A member of a machine class that gets no jobs. `released_at` None: it still gets none."""

    machine: str
    node: str
    reason: str
    set_by: str
    set_at: datetime
    released_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class MemberLaunch:
    """A launch artifact of a known member of a machine class: who ran which scenario, and its header."""

    node: str
    benchmark: str
    header: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class MemberValue:
    """A result of a known member of a machine class; `better` is the direction of its metric."""

    node: str
    run_id: int
    series_id: int
    revision_id: int
    value: float
    better: Better | None
