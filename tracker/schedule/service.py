"""The service: stored jobs, one at a time, until a signal asks it to end.

Jobs run in the main thread, one after the other: measurements never overlap, and an interrupt
reaches the measurement itself, which ends its children.
"""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from types import FrameType

from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_MISSED, JobExecutionEvent
from apscheduler.executors.debug import DebugExecutor
from apscheduler.schedulers.blocking import BlockingScheduler
from apscheduler.triggers.base import BaseTrigger

from tracker.errors import PacekeeperError
from tracker.schedule.jobstore import ServiceJobStore
from tracker.schedule.plan import Options, PlannedJob, plan
from tracker.schedule.requested import service_name
from tracker.schedule.stopping import STOP
from tracker.store import Store

__all__ = ["ListedJob", "list_jobs", "run_service"]

RETRY_SECONDS = 30.0  # after the job table could not be read or written

_log = logging.getLogger("pacekeeper.schedule")


@dataclass(frozen=True, slots=True)
class ListedJob:
    """A stored job: its id, what triggers it, when it runs next (UTC; None: never)."""

    id: str
    trigger: str
    next_run: datetime | None


class _Scheduler(BlockingScheduler):  # type: ignore[misc]
    """Ends when asked to, and outlives a job table that cannot be reached for a while."""

    planned: tuple[PlannedJob, ...]
    once: bool

    def _main_loop(self) -> None:
        _sync(self, self.planned)
        if self.once:
            self._process_jobs()
            return
        wait: float | None = 0.0
        while not STOP.is_set():
            self._event.wait(wait)
            self._event.clear()
            if STOP.is_set():
                break
            try:
                wait = self._process_jobs()
            except Exception:
                _log.exception("cannot reach the job table; next try in %g s", RETRY_SECONDS)
                wait = RETRY_SECONDS


def run_service(options: Options, *, once: bool = False) -> int:
    """Bring the stored jobs in line with `options` and run them as they fall due.

    After the first SIGTERM or SIGINT the present measurement finishes and no other starts; the
    second signal interrupts it. What was measured is in the store either way. A job that fails is
    reported and the service goes on.

    Args:
        options: What to do. A job whose time changed is scheduled anew; all others keep theirs.
        once: Run each job that is due now, once, and return: for cron, or by hand.

    Returns:
        With `once`, the exit code of the last job that failed; else 0.

    Raises:
        StoreError: The store cannot be opened.
    """
    STOP.clear()
    # The store first: its tables must exist before APScheduler adds its own to the database.
    with Store.open(options.db) as store:
        again = store.requeue_jobs(
            service_name(options.root, options.machine), now=datetime.now(UTC)
        )
    if again:
        _log.info("%d jobs that people asked for were cut off and wait again", again)
    logging.getLogger("apscheduler").setLevel(logging.CRITICAL)  # failures are reported here
    codes: list[int] = []
    scheduler = _Scheduler()
    scheduler.planned, scheduler.once = plan(options), once
    scheduler.add_jobstore(ServiceJobStore(options.db, options.prefix))
    scheduler.add_executor(DebugExecutor())  # runs a job in the calling thread: the main one
    scheduler.add_listener(lambda event: codes.append(_report(event)), EVENT_JOB_ERROR)
    scheduler.add_listener(_report_missed, EVENT_JOB_MISSED)
    try:
        with _signals(scheduler.wakeup):
            scheduler.start()
    finally:
        if scheduler.running:
            scheduler.shutdown(wait=True)
    return codes[-1] if once and codes else 0


def list_jobs(options: Options) -> list[ListedJob]:
    """The jobs that this project and machine have in the store, next first; changes nothing.

    Raises:
        StoreError: There is no store.
    """
    with Store.open(options.db, read_only=True):
        pass
    jobstore = ServiceJobStore(options.db, options.prefix, read_only=True)
    jobstore._scheduler, jobstore._alias = None, "default"  # what starting it would set
    try:
        jobs = jobstore.get_all_jobs() if jobstore.exists() else []
        return [ListedJob(job.id, str(job.trigger), job.next_run_time) for job in jobs]
    finally:
        jobstore.shutdown()


def _sync(scheduler: BlockingScheduler, planned: Sequence[PlannedJob]) -> None:
    """Make the stored jobs the planned ones, keeping when each runs next unless that changed."""
    stored = {job.id: job for job in scheduler.get_jobs()}
    for left_over in stored.keys() - {job.id for job in planned}:
        scheduler.remove_job(left_over)
    for job in planned:
        changes = {
            "func": job.function,
            "args": (),
            "kwargs": dict(job.kwargs),
            "name": job.id,
            "coalesce": True,
            "max_instances": 1,
            "misfire_grace_time": job.grace,
        }
        if job.id not in stored:
            if job.at_once:
                changes["next_run_time"] = datetime.now(UTC)
            scheduler.add_job(trigger=job.trigger, id=job.id, **changes)
            continue
        scheduler.modify_job(job.id, **changes)
        if _when(stored[job.id].trigger) != _when(job.trigger):
            scheduler.reschedule_job(job.id, trigger=job.trigger)


def _when(trigger: BaseTrigger) -> tuple[str, str]:
    return str(trigger), str(getattr(trigger, "timezone", None))


def _report(event: JobExecutionEvent) -> int:
    """Log why a job failed; return the exit code that stands for it."""
    name = event.job_id.rpartition("/")[2]
    if isinstance(event.exception, PacekeeperError):
        _log.error("%s failed: %s", name, event.exception)
        return event.exception.exit_code
    if isinstance(event.exception, KeyboardInterrupt):
        _log.warning("%s was broken off", name)
        return 130
    _log.error("%s failed: %r\n%s", name, event.exception, event.traceback)
    return PacekeeperError.exit_code


def _report_missed(event: JobExecutionEvent) -> None:
    name = event.job_id.rpartition("/")[2]
    when = event.scheduled_run_time
    _log.warning("%s of %s was missed by too much; waiting for the next", name, when)


@contextmanager
def _signals(wake: Callable[[], None]) -> Iterator[None]:
    """Turn the first SIGTERM or SIGINT into STOP, the second into KeyboardInterrupt."""

    def tell() -> None:
        # In a separate thread: the handler may have interrupted code that holds the locks.
        _log.info("stopping after the measurement under way; a second signal breaks it off")
        wake()

    def handle(_number: int, _frame: FrameType | None) -> None:
        if STOP.is_set():
            raise KeyboardInterrupt
        STOP.set()
        threading.Thread(target=tell, daemon=True).start()

    before = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
