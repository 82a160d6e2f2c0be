"""Between the queue and the executors: hands jobs out, follows them, queues again what was cut off."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from tracker.domain import PRIORITY_BUDGETED, JobInfo, TaskInfo
from tracker.errors import ExecutorError
from tracker.execute.protocol import Executor, Order, Status
from tracker.measure.worktree import state_dir
from tracker.schedule.plan import Options
from tracker.store import Store, queries

__all__ = ["BUDGET", "Dispatcher", "day_of", "executor_task"]

BUDGET = "the day's budget"  # begins what is kept of an executor whose budget is spent
RETRY = timedelta(seconds=30)  # after an executor could not be reached

_log = logging.getLogger("pacekeeper.schedule")


def executor_task(name: str) -> str:
    """Return under which name the store keeps what an executor cannot do at present."""
    return f"executor {name}"


def day_of(now: datetime) -> datetime:
    """Return the beginning of the local day of a moment, which budgets of device time are for."""
    return now.astimezone().replace(hour=0, minute=0, second=0, microsecond=0)


@dataclass(slots=True)
class _Engine:
    """An executor with what the dispatcher remembers of it."""

    executor: Executor
    problem: str | None = None
    retry_at: datetime | None = None
    said: TaskInfo | None = None


@dataclass(slots=True)
class Dispatcher:
    """Hands queued jobs to executors.

    What an executor says decides nothing about success: a job is done when its own process has said
    so in the store. A job whose executor says that it ended, and whose row still runs, was cut off.

    Args:
        options: Of the service.
        executors: One for each machine class.
    """

    options: Options
    executors: Sequence[Executor]
    is_stopping: bool = False
    has_failed: bool = False  # a job, or an executor that could not be reached
    _engines: list[_Engine] = field(init=False)
    _followed: dict[int, str] = field(default_factory=dict)  # active jobs -> machine, last time

    def __post_init__(self) -> None:
        self._engines = [_Engine(executor) for executor in self.executors]

    def step(self, store: Store, now: datetime) -> frozenset[str]:
        """Follow what runs and start what waits; return the machine classes where a job has ended.

        Raises:
            StoreError: The store failed; what runs goes on.
        """
        active = self.active(store)
        for engine in self._engines:
            own = [job for job in active if job.machine == engine.executor.machine]
            if engine.retry_at is None or now >= engine.retry_at:
                try:
                    self._follow(store, engine.executor, own, now)
                    engine.problem = self._start(store, engine.executor, now)
                    engine.retry_at = None
                except ExecutorError as error:
                    if engine.problem != str(error):
                        _log.error("%s", error)
                    engine.problem, engine.retry_at = str(error), now + RETRY
                    self.has_failed = True
            self._record(store, engine, now)
        running = {job.id: job.machine for job in self.active(store)}
        ended = {job: machine for job, machine in self._followed.items() if job not in running}
        for job_id in ended:
            self._report(queries.get_job(store, job_id))
        self._followed = running
        return frozenset(ended.values())

    def _report(self, job: JobInfo) -> None:
        if job.state == "failed":
            self.has_failed = True
            _log.error(
                "job %d, %s of %s, failed: %s",
                job.id,
                job.kind,
                job.revision.commit[:12],
                job.result,
            )
        elif job.state != "queued":
            _log.info(
                "job %d, %s of %s, is %s: %s", job.id, job.kind, job.revision.commit[:12],
                job.state, job.result,
            )  # fmt: skip

    def num_active(self, store: Store, *, queued: bool) -> int:
        """Return how many jobs of this service run, or also those that can start on an executor."""
        jobs = self.active(store)
        if queued:
            machines = {e.executor.machine for e in self._engines if e.problem is None}
            listed = queries.list_jobs(store, self.options.project, active=True, limit=None)
            jobs += [job for job in listed if job.state == "queued" and job.machine in machines]
        return len(jobs)

    def cancel_running(self, store: Store, machines: Sequence[str]) -> None:
        """End what runs on some machine classes; the jobs are queued again at the next step."""
        for executor in self.executors:
            if executor.machine in machines:
                for job in self.active(store):
                    if job.machine == executor.machine and job.handle is not None:
                        executor.cancel(job.handle)

    def active(self, store: Store) -> list[JobInfo]:
        """Return the jobs that this service has handed out, oldest first."""
        listed = queries.list_jobs(store, self.options.project, active=True, limit=None)
        return [
            job
            for job in reversed(listed)
            # One without an executor was taken by a service of an earlier version.
            if job.state != "queued" and (job.taken_by == self.options.service or not job.executor)
        ]

    def _follow(
        self, store: Store, executor: Executor, jobs: Sequence[JobInfo], now: datetime
    ) -> None:
        handles: dict[int, str] = {}
        for job in jobs:
            if job.executor is None:
                self._requeue(store, job, "the service that ran it is gone", now)
            elif job.handle is None:  # the service was cut off between taking and handing over
                handles[job.id] = self._hand_over(store, executor, job)
            else:
                handles[job.id] = job.handle
        statuses = executor.statuses(list(handles.values()))
        for job in jobs:
            if job.id in handles:
                self._apply(store, executor, job, handles[job.id], statuses, now)

    def _apply(
        self,
        store: Store,
        executor: Executor,
        job: JobInfo,
        handle: str,
        statuses: Mapping[str, Status],
        now: datetime,
    ) -> None:
        status = statuses[handle]
        if job.state == "cancelling":
            if status.state == "ended":
                store.end_cancelled(job.id, now=now)
                _log.info("job %d is cancelled", job.id)
            else:
                executor.cancel(handle)
        elif status.state == "ended":
            reason = " ".join(filter(None, (status.text, self._last_line(job))))
            self._requeue(store, job, reason or "its executor says that it ended", now)
        else:
            node = status.node or job.node
            note = status.text if status.state == "waiting" else None
            if (node, note) != (job.node, job.note):
                store.note_job(job.claim, node=node, note=note)

    def _requeue(self, store: Store, job: JobInfo, reason: str, now: datetime) -> None:
        state = store.requeue_job(job.claim, reason, now=now)
        if state == "queued":
            _log.warning(
                "job %d waits again: attempt %d was cut off: %s", job.id, job.attempts, reason
            )

    def _start(self, store: Store, executor: Executor, now: datetime) -> str | None:
        """Hand out what waits while the executor has room; return why something waits all the same."""
        project = self.options.project
        taken = [job for job in self.active(store) if job.machine == executor.machine]
        spent = self._budget_spent(store, executor.machine, now)
        for _ in range(executor.slots - len(taken)):
            if self.is_stopping:
                break
            job_id = store.take_job(
                project, executor.machine,
                service=self.options.service, executor=executor.name, now=now,
                below=PRIORITY_BUDGETED if spent else None,
            )  # fmt: skip
            if job_id is None:
                break
            job = queries.get_job(store, job_id)
            _log.info(
                "%s of %s for %s goes to %s", job.kind, job.revision.commit[:12], job.asked_by,
                executor.name,
            )  # fmt: skip
            try:
                self._hand_over(store, executor, job)
            except ExecutorError as error:
                store.put_back_job(job.claim, str(error))
                raise
        return spent

    def _hand_over(self, store: Store, executor: Executor, job: JobInfo) -> str:
        handle = executor.submit(self._order(store, job))
        store.note_job(job.claim, handle=handle)
        return handle

    def _order(self, store: Store, job: JobInfo) -> Order:
        quarantined = queries.quarantined_nodes(store, job.project)
        return Order(
            name=f"pacekeeper-{job.key.replace('.', '-')}-{job.attempts}",
            command=(
                *(sys.executable, "-m", "tracker", "schedule", "job", str(job.id)),
                *("--attempt", str(job.attempts)),
            ),
            directory=self.options.root,
            environment={"PACEKEEPER_DB": self.options.db},
            log=str(self._log_file(job)),
            avoid=[
                item.node
                for item in quarantined
                if item.machine == job.machine and item.released_at is None
            ],
        )

    def _log_file(self, job: JobInfo) -> Path:
        folder = state_dir(Path(self.options.root)) / "jobs"
        folder.mkdir(exist_ok=True)
        return folder / f"{job.id}-{job.attempts}.log"

    def _last_line(self, job: JobInfo) -> str:
        try:
            text = self._log_file(job).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return f"({lines[-1][:300]})" if lines else ""

    def _budget_spent(self, store: Store, machine: str, now: datetime) -> str | None:
        if self.options.budget is None:
            return None
        seconds = queries.device_seconds(
            store, self.options.project, machine, since=day_of(now), now=now
        )
        if seconds < 60 * self.options.budget:
            return None
        return (
            f"{BUDGET} of {self.options.budget} device minutes is spent "
            f"({seconds / 60:.0f} used): A/A gates and older commits wait"
        )

    def _record(self, store: Store, engine: _Engine, now: datetime) -> None:
        """Keep what the executor cannot do, where that changed; `status_of` shows it."""
        said = engine.said
        if said is not None and said.problem == engine.problem:
            return
        name = executor_task(engine.executor.name)
        engine.said = TaskInfo(self.options.service, name, now, now, engine.problem)
        store.record_task(self.options.project, engine.said)
