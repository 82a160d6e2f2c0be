"""APScheduler's job table in the store, restricted to the jobs of one service."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from apscheduler.job import Job
from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore

from tracker.store.engine import make_engine, parse_url

__all__ = ["TABLE", "ServiceJobStore"]

TABLE = "apscheduler_jobs"


class ServiceJobStore(SQLAlchemyJobStore):  # type: ignore[misc]
    """The jobs whose id begins with `prefix`, in the table `apscheduler_jobs`.

    Several machines share one store, and APScheduler would run every job of the table on each of
    them: a service reads and changes only its own jobs.

    The store's URL may hold a password, so jobs are kept without it: an argument ``db`` is empty
    in the table and this store's URL in the jobs that are read from it.
    """

    def __init__(self, url: str, prefix: str, *, read_only: bool = False) -> None:
        engine = make_engine(parse_url(url), read_only=read_only)
        super().__init__(engine=engine, tablename=TABLE)
        self._prefix = prefix
        self._url = url

    def exists(self) -> bool:
        """Whether a service ever ran on this store."""
        with self.engine.connect() as connection:
            return bool(self.engine.dialect.has_table(connection, TABLE))

    def get_next_run_time(self) -> datetime | None:
        times = [job.next_run_time for job in self.get_all_jobs() if job.next_run_time is not None]
        return min(times, default=None)

    def remove_all_jobs(self) -> None:
        for job in self.get_all_jobs():
            self.remove_job(job.id)

    def add_job(self, job: Job) -> None:
        with _without_url(job):
            super().add_job(job)

    def update_job(self, job: Job) -> None:
        with _without_url(job):
            super().update_job(job)

    def _reconstitute_job(self, job_state: bytes) -> Job:
        job = super()._reconstitute_job(job_state)
        if "db" in job.kwargs:
            job.kwargs = {**job.kwargs, "db": self._url}
        return job

    def _get_jobs(self, *conditions: Any) -> Any:
        own = self.jobs_t.c.id.startswith(self._prefix, autoescape=True)
        return super()._get_jobs(own, *conditions)


@contextmanager
def _without_url(job: Job) -> Iterator[None]:
    kwargs = job.kwargs
    job.kwargs = {name: "" if name == "db" else value for name, value in kwargs.items()}
    try:
        yield
    finally:
        job.kwargs = kwargs
