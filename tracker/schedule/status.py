"""What runs, what waits and why: values from the store, and lines of text from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tracker.domain import PRIORITY_BUDGETED, JobInfo, QuarantinedNode, TaskInfo
from tracker.execute.settings import ExecutorSettings
from tracker.members import Disagreement, disagreements
from tracker.report.numbers import count_of
from tracker.schedule.dispatch import BUDGET, day_of, executor_task
from tracker.schedule.service import HEARTBEAT, HEARTBEAT_SECONDS
from tracker.store import Store, queries

__all__ = ["ExecutorStatus", "ServiceStatus", "lines_of", "status_of"]

SILENT = timedelta(seconds=8 * HEARTBEAT_SECONDS)  # without a step, a service counts as gone


@dataclass(frozen=True, slots=True)
class ExecutorStatus:
    """One executor: its jobs, its device time today, and what it cannot do.

    Attributes:
        settings: Of pacekeeper.toml.
        machine: The machine class.
        jobs: That are handed to it.
        minutes: Device time of today's jobs.
        problem: Why it cannot be used, or why something waits; None: it can.
        disagreements: Members of the class that differ from the others.
    """

    settings: ExecutorSettings
    machine: str
    jobs: tuple[JobInfo, ...]
    minutes: float
    problem: str | None
    disagreements: tuple[Disagreement, ...]

    @property
    def is_lost(self) -> bool:
        """Whether it cannot be used; a budget that is spent is none of that."""
        return self.problem is not None and not self.problem.startswith(BUDGET)


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """The state of a service as the store has it.

    Attributes:
        service: Its machine and checkout.
        seen_at: Its last step; None: it never ran.
        is_running: Whether that was lately.
        tasks: With the time of their last run, and what failed.
        executors: One for each machine class.
        waiting: Queued jobs, the next one first, with the reason.
        quarantined: Nodes that get no jobs.
    """

    service: str
    seen_at: datetime | None
    is_running: bool
    tasks: tuple[TaskInfo, ...]
    executors: tuple[ExecutorStatus, ...]
    waiting: tuple[tuple[JobInfo, str], ...]
    quarantined: tuple[QuarantinedNode, ...]

    @property
    def is_healthy(self) -> bool:
        """Whether the service runs, its last tasks succeeded, and each executor can be used."""
        return (
            self.is_running
            and not any(task.problem for task in self.tasks)
            and not any(executor.is_lost for executor in self.executors)
        )


def status_of(
    store: Store,
    project: str,
    *,
    service: str,
    executors: Sequence[ExecutorSettings],
    machine: str,
    now: datetime,
) -> ServiceStatus:
    """Return what the store says of a service and its queue.

    Args:
        store: Where to look.
        project: Its name.
        service: As `Options.service`.
        executors: Of pacekeeper.toml.
        machine: The name of this machine.
        now: The present.

    Raises:
        UsageError: No such project.
    """
    listed = queries.list_tasks(store, project)
    own = {task.name: task for task in listed if task.service == service}
    beat = own.pop(HEARTBEAT, None)
    is_running = beat is not None and now - beat.due_at <= SILENT
    active = queries.list_jobs(store, project, active=True, limit=None)
    states: list[ExecutorStatus] = []
    for item in executors or (ExecutorSettings("local", "local"),):
        name = item.machine or machine
        said = own.pop(executor_task(item.name), None)
        seconds = queries.device_seconds(store, project, name, since=day_of(now), now=now)
        states.append(
            ExecutorStatus(
                settings=item,
                machine=name,
                jobs=tuple(
                    j for j in reversed(active) if j.machine == name and j.state != "queued"
                ),
                minutes=seconds / 60,
                problem=None if said is None else said.problem,
                disagreements=tuple(
                    disagreements(
                        queries.member_launches(store, project, name),
                        queries.member_values(store, project, name),
                    )
                ),
            )
        )
    queued = sorted(
        (job for job in active if job.state == "queued"), key=lambda job: (job.priority, job.id)
    )
    return ServiceStatus(
        service=service,
        seen_at=None if beat is None else beat.due_at,
        is_running=is_running,
        tasks=tuple(task for task in own.values() if not task.name.startswith(executor_task(""))),
        executors=tuple(states),
        waiting=tuple((job, _reason(job, states, is_running)) for job in queued),
        quarantined=tuple(
            item for item in queries.quarantined_nodes(store, project) if item.released_at is None
        ),
    )


def _reason(job: JobInfo, executors: Sequence[ExecutorStatus], is_running: bool) -> str:
    """Return why a queued job does not run."""
    executor = next((item for item in executors if item.machine == job.machine), None)
    if executor is None:
        return f"no executor here has the machine class {job.machine}"
    if not is_running:
        return "no tracker schedule runs here"
    if executor.problem is not None and (executor.is_lost or job.priority >= PRIORITY_BUDGETED):
        return executor.problem
    if len(executor.jobs) >= executor.settings.jobs:
        ahead = count_of(executor.settings.jobs, "job")
        return f"{executor.settings.name} runs {ahead} at a time"
    return "starts with the next step"


def lines_of(status: ServiceStatus, now: datetime) -> list[str]:
    """Return a status as text."""
    if status.is_running:
        lines = [f"service {status.service}: running"]
    else:
        seen = "it never ran" if status.seen_at is None else f"last seen {_at(status.seen_at)}"
        lines = [f"service {status.service}: NOT RUNNING ({seen}); nothing is measured"]
    for task in status.tasks:
        said = "cut off" if task.finished_at is None else task.problem or "ok"
        lines.append(f"  {task.name}: {_at(task.due_at)}, {said}")
    for executor in status.executors:
        settings = executor.settings
        taken = f"{len(executor.jobs)} of {count_of(settings.jobs, 'job')}"
        lines.append(
            f"executor {settings.name} ({settings.kind}), machine class {executor.machine}: {taken}, "
            f"{executor.minutes:.0f} device minutes today"
        )
        if executor.problem is not None:
            lines.append(f"  {'PROBLEM: ' if executor.is_lost else ''}{executor.problem}")
        lines += [f"  {_running(job, now)}" for job in executor.jobs]
        lines += [f"  {item.node} differs: {item.text}" for item in executor.disagreements]
    for job, reason in status.waiting:
        note = f" ({job.note})" if job.note else ""
        lines.append(f"waits: {_job(job)} on {job.machine}: {reason}{note}")
    for item in status.quarantined:
        lines.append(
            f"quarantined: {item.node} of {item.machine} by {item.set_by} at {_at(item.set_at)}: "
            f"{item.reason}; tracker schedule release {item.machine} {item.node}"
        )
    return lines


def _job(job: JobInfo) -> str:
    attempt = f", attempt {job.attempts}" if job.attempts > 1 else ""
    return f"job {job.id}, {job.kind} of {job.revision.commit[:12]} for {job.asked_by}{attempt}"


def _running(job: JobInfo, now: datetime) -> str:
    if job.state == "submitted":
        return f"submitted: {_job(job)}: {job.note or 'waits for a node'}"
    where = f" on {job.node}" if job.node else ""
    if job.started_at is None:
        return f"{job.state}: {_job(job)}{where}"
    minutes = (now - job.started_at).total_seconds() / 60
    return f"{job.state}: {_job(job)}{where} for {minutes:.0f} min"


def _at(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
