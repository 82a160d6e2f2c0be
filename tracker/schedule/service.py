"""The service: its tasks and the dispatch of jobs, step by step, until a signal asks it to end.

Everything that must outlive the process is in the store: when a task last ran, which jobs wait, and
which attempt of each runs where. A step asks the clock once and does what is due by then, so that a
test drives it with a clock of its own.
"""

from __future__ import annotations

import logging
import os
import select
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from types import FrameType

from tracker.domain import TaskInfo
from tracker.errors import PacekeeperError, StoreError
from tracker.execute.local import LocalExecutor
from tracker.execute.protocol import Executor
from tracker.schedule.dispatch import Dispatcher
from tracker.schedule.plan import Options, due
from tracker.schedule.tasks import Task, tasks_of
from tracker.store import Store, queries

__all__ = ["HEARTBEAT", "Service", "run_service"]

HEARTBEAT = "service"  # the task whose time is that of the last step
HEARTBEAT_SECONDS = 15
POLL_SECONDS = 1.0  # between two steps while jobs run
IDLE_SECONDS = 3.0
RETRY_SECONDS = 30.0  # after the store could not be reached

_log = logging.getLogger("pacekeeper.schedule")


class Service:
    """The state of a service between two steps.

    Args:
        options: What to do.
        executors: One for each machine class.
    """

    def __init__(self, options: Options, executors: Sequence[Executor]) -> None:
        self._options = options
        self._tasks = tasks_of(options, [executor.machine for executor in executors])
        self.dispatcher = Dispatcher(options, executors)
        self._task_code = 0
        self._is_recorded = False

    @property
    def exit_code(self) -> int:
        """Of the last task that failed, else 4 where a job failed or an executor is lost, else 0."""
        return self._task_code or (4 if self.dispatcher.has_failed else 0)

    def step(self, store: Store, now: datetime) -> bool:
        """Run the tasks that are due, hand out and follow jobs; return whether any job runs.

        Raises:
            StoreError: The store failed; the next step does what was left.
        """
        if not self._is_recorded:
            store.record_project(self._options.project)
            self._is_recorded = True
        last = self._last_runs(store)
        for task in self._tasks:
            if not self.dispatcher.is_stopping:
                self._run_if_due(store, task, last.get(task.name), now)
        if self.dispatcher.step(store, now) and not self.dispatcher.is_stopping:
            self._run(store, next(t for t in self._tasks if t.name == "search"), now, now)
            self.dispatcher.step(store, now)  # what the search has queued
        beat = last.get(HEARTBEAT)
        if beat is None or abs((now - beat.due_at).total_seconds()) >= HEARTBEAT_SECONDS:
            self._record(store, TaskInfo(self._options.service, HEARTBEAT, now, now))
        return self.dispatcher.num_active(store, queued=False) > 0

    def _last_runs(self, store: Store) -> dict[str, TaskInfo]:
        listed = queries.list_tasks(store, self._options.project)
        return {task.name: task for task in listed if task.service == self._options.service}

    def _run_if_due(self, store: Store, task: Task, last: TaskInfo | None, now: datetime) -> None:
        if last is not None and last.finished_at is None:  # it was cut off
            self._run(store, task, last.due_at, now)
            return
        run = due(task.when, None if last is None else last.due_at, now)
        if run is not None and run.is_missed:
            _log.warning("%s of %s was missed by too much; waiting for the next", task.name, run.at)
            problem = f"missed: the service was not there at {run.at:%Y-%m-%d %H:%M}"
            self._record(store, TaskInfo(self._options.service, task.name, run.at, now, problem))
        elif run is not None:
            self._run(store, task, run.at, now)
        elif last is None:  # a daily task of a new service waits for its first time
            self._record(store, TaskInfo(self._options.service, task.name, now, now))

    def _run(self, store: Store, task: Task, at: datetime, now: datetime) -> None:
        record = TaskInfo(self._options.service, task.name, at)
        self._record(store, record)
        try:
            task.act(store, at, now)
            problem = None
        except StoreError:
            raise  # the row says that the run was cut off, and it is repeated
        except PacekeeperError as error:
            problem, self._task_code = str(error), error.exit_code
            _log.error("%s failed: %s", task.name, error)
        except Exception as error:
            problem = f"a fault in Pacekeeper itself: {error!r}"
            self._task_code = PacekeeperError.exit_code
            _log.exception("%s failed", task.name)
        self._record(store, replace(record, finished_at=now, problem=problem))

    def _record(self, store: Store, task: TaskInfo) -> None:
        store.record_task(self._options.project, task)


def run_service(
    options: Options,
    executors: Sequence[Executor],
    *,
    once: bool = False,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> int:
    """Run the service until a signal ends it.

    After the first SIGTERM or SIGINT no job starts, and a job on this machine finishes; jobs on other
    machines go on, and the next start follows them. The second signal ends what runs on this machine;
    its job is queued again.

    Args:
        options: What to do.
        executors: One for each machine class.
        once: Run the tasks that are due and the whole queue, and return: for cron, or by hand.
        now: The clock.

    Returns:
        With `once`, `Service.exit_code`; else 0.

    Raises:
        StoreError: The store cannot be opened at the start.
    """
    service = Service(options, executors)
    local = [e.machine for e in executors if isinstance(e, LocalExecutor)]
    with Store.open(options.db) as store, _signals() as signals:
        while True:
            service.dispatcher.is_stopping = signals.num >= 1
            wait = IDLE_SECONDS
            try:
                if service.step(store, now()):
                    wait = POLL_SECONDS
                if once and not service.dispatcher.num_active(store, queued=signals.num == 0):
                    return service.exit_code
                if signals.num >= 2:
                    service.dispatcher.cancel_running(store, local)
                if signals.num >= 1 and not _runs_here(store, service, local):
                    return 0
            except StoreError as error:
                if once or signals.num >= 2:
                    raise
                _log.error("%s; next try in %g s", error, RETRY_SECONDS)
                wait = RETRY_SECONDS
            signals.wait(wait)


def _runs_here(store: Store, service: Service, machines: Sequence[str]) -> bool:
    return any(job.machine in machines for job in service.dispatcher.active(store))


class _Signals:
    """Counts the signals that have asked the process to end; each of them ends a wait.

    A pipe and no lock, because a handler may interrupt the code that would hold the lock.
    """

    def __init__(self) -> None:
        self.num = 0
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def arrive(self, _number: int, _frame: FrameType | None) -> None:
        self.num += 1
        os.write(self._write, b"x")

    def wait(self, seconds: float) -> None:
        before = self.num
        if select.select([self._read], [], [], seconds)[0]:
            os.read(self._read, 1)
        if before == 0 < self.num:
            _log.info("stopping after the job on this machine; a second signal breaks it off")

    def close(self) -> None:
        os.close(self._read)
        os.close(self._write)


@contextmanager
def _signals() -> Iterator[_Signals]:
    signals = _Signals()
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.signal(number, signals.arrive) for number in numbers}
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signals.close()
