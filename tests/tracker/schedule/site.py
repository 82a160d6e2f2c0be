"""A project, a store and a service on a clock of the test's own; nodes are a fake executor's."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from tests.tracker.changepoints.stores import STEPS
from tests.tracker.execute.fakes import FakeExecutor
from tests.tracker.schedule.projects import clone, commit, make_project
from tracker.domain import Measurement, ResultFile, RevisionRecord
from tracker.execute.protocol import Status
from tracker.execute.settings import ExecutorSettings
from tracker.measure.git import Repository
from tracker.schedule import Options, Service, status_of
from tracker.schedule.status import lines_of
from tracker.store import Store, queries

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Site:
    """The service of a clone of a remote repository.

    Attributes:
        remote: Where commits are pushed to.
        now: The clock.
        value: What a commit that is measured from now on gives.
        broken: Commits that fail.
    """

    def __init__(self, tmp_path, *executors, **options):
        self.remote = make_project(tmp_path / "remote")
        self.here = clone(self.remote, tmp_path / "here")
        self.executors = executors or (FakeExecutor(),)
        self.options = Options(
            db=f"sqlite:///{tmp_path}/store.db", root=str(self.here), project="engine",
            **({"nightly": None} | options),
        )  # fmt: skip
        self.now, self.value, self.broken = START, 141.0, set()
        self.store = Store.open(self.options.db)
        self.start()

    def start(self, **options):
        """Start the service, again where it ran."""
        self.options = replace(self.options, **options)
        self.service = Service(self.options, self.executors)

    def step(self, seconds=1.0):
        self.now += timedelta(seconds=seconds)
        return self.service.step(self.store, self.now)

    def push(self, number=None):
        return commit(self.remote, random.random() if number is None else number)

    def jobs(self, **wanted):
        """Every job, oldest first, that has these fields."""
        listed = queries.list_jobs(self.store, "engine", limit=None)
        return [
            job
            for job in reversed(listed)
            if all(getattr(job, name) == value for name, value in wanted.items())
        ]

    def commits(self, **wanted):
        return [job.revision.commit for job in self.jobs(**wanted)]

    def serve(self, executor=None):
        """Let the nodes do all that they were given, each job in a process of its own."""
        executor = executor or self.executors[0]
        served = []
        for job in self.jobs(state="submitted", machine=executor.machine):
            executor.states[job.handle] = Status("running", node="n1")
            with Store.open(self.options.db) as store:
                self._work(store, job)
            executor.states[job.handle] = Status("ended")
            served.append(job.revision.commit)
        return served

    def run(self, seconds=1.0, most=100):
        """Step and serve until nothing waits; return the commits in the order of their measurement."""
        served = []
        for _ in range(most):
            self.step(seconds)
            done = [commit for executor in self.executors for commit in self.serve(executor)]
            served += done
            if not done and not self.jobs(state="queued"):
                self.step(0)
                return served
        raise AssertionError("the queue never gets empty")

    def _work(self, store, job):
        store.work_for(job, node="n1", now=self.now)
        if job.revision.commit in self.broken:
            store.finish_job(job.claim, "failed", "asv fell over", now=self.now)
            return
        if job.kind == "run":
            for _ in range(int(job.arguments["launches"])):
                self.record(store, job.revision.commit, job.machine)
        store.finish_job(job.claim, "done", "measured", now=self.now)

    def record(self, store, digest, machine):
        repository = Repository(self.remote)
        described, *before = repository.describe(
            repository.run("rev-list", "--max-count=20", digest).split()
        )
        moment = self.now + timedelta(microseconds=random.randrange(1_000_000))
        value = Measurement(STEPS.name, "1", 0, (), "ok", self.value, started_at=moment)
        file = ResultFile(
            "x", f"{digest} {moment} {random.random()}", 2, machine, digest,
            described.committed_at, "existing", "3", measurements=(value,),
        )  # fmt: skip
        store.record_benchmarks("engine", [STEPS])
        store.record_revisions(
            "engine",
            [RevisionRecord(c.hash, c.committed_at, c.parents) for c in (described, *before)],
        )
        store.record_file(
            "engine", file, benchmarks={STEPS.name: STEPS}, source="schedule", node="n1"
        )

    def status(self):
        settings = [
            ExecutorSettings(e.name, "slurm", machine=e.machine, jobs=e.slots)
            for e in self.executors
        ]
        status = status_of(
            self.store, "engine", service=self.options.service, executors=settings,
            machine="lab", now=self.now,
        )  # fmt: skip
        return status, "\n".join(lines_of(status, self.now))
