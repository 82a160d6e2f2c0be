"""A week of the service on a virtual clock in which everything fails at times: nothing is lost or done twice.

The service and its nodes are killed before, within and after their writes, the clock jumps, the disk is full, the
database is gone for an hour, a machine is silent for two days, the webhook fails. Real are the queue, the measuring of
a commit (but for the launch itself), the search for level shifts, the gates that confirm them, and the HTTP of the alerts.
"""

from __future__ import annotations

import random
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.tracker.alerts.server import webhook_server
from tests.tracker.execute.fakes import FakeExecutor
from tests.tracker.fake_lab import STEPS, FakeRunner
from tests.tracker.schedule.site import START, Site
from tracker.errors import JobLostError, StoreError
from tracker.execute import work
from tracker.execute.protocol import Status
from tracker.measure.git import Repository
from tracker.store import Store, queries
from tracker.store.check import check_store
from tracker.triage import ALL_STATES

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
MACHINES = ("h100", "a100")
WORSE, MENDED, WORSE_AGAIN = 4, 8, 12  # commits, counted from the first push


class Killed(BaseException):
    """The process ends here, as by SIGKILL: none of its code runs any more."""


class Faults:
    """What goes wrong with the store at present."""

    def __init__(self, draw):
        self.draw, self.kill = draw, 0.0
        self.is_full = self.is_gone = False
        self.seen = Counter()

    def write(self, real, store, act):
        if self.is_gone:
            self.seen["gone"] += 1
            raise StoreError("the server does not answer")
        moment = self.draw.choice(("before", "within", "after"))
        dies = self.draw.random() < self.kill

        def acted(tx):
            answer = act(tx)
            if self.is_full:  # nothing can be written to the log any more, as SQLite then says
                tx.conn.exec_driver_sql("PRAGMA max_page_count = 1")
                try:
                    tx.conn.exec_driver_sql("CREATE TABLE more AS SELECT zeroblob(1000000000)")
                finally:
                    tx.conn.exec_driver_sql("PRAGMA max_page_count = 4294967294")
            if dies and moment == "within":
                raise Killed
            return answer

        if dies and moment == "before":
            raise Killed
        try:
            answer = real(store, acted)
        except StoreError as error:
            self.seen["full"] += "no space left" in str(error)
            raise
        if dies and moment == "after":
            raise Killed
        return answer


class Node(FakeRunner):
    """Measures on one machine class, at the time of the site."""

    def __init__(self, site, machine):
        super().__init__(site.here, lambda commit, _: {STEPS: site.steps[commit]})
        self.site, self.machine = site, machine

    def launch(self, commit, *, bench=None):
        result = super().launch(commit, bench=bench)
        moment = self.site.now + timedelta(milliseconds=len(self.launches))
        measured = tuple(replace(one, started_at=moment) for one in result.file.measurements)
        digest = f"{self.machine} {moment} {self.site.draw.random()}"
        file = replace(result.file, digest=digest, measurements=measured)
        headers = tuple(replace(one, digest=f"{digest} {one.benchmark}") for one in result.launches)
        return replace(result, file=file, launches=headers)


class Week(Site):
    """A site of two machine classes whose nodes work on real jobs, and die of it at times."""

    def __init__(self, tmp_path, draw, webhook):
        self.draw, self.steps, self.faults = draw, {}, Faults(draw)
        self.asleep = []  # claims of nodes that were given up and come back
        pair = FakeExecutor("a", "h100", 2), FakeExecutor("b", "a100")
        super().__init__(tmp_path, *pair, nightly=(2, 0), launches=2)
        (self.here / "pacekeeper.toml").write_text(
            f'[alerts]\nwebhook = "{webhook}"\nallow_private = true\nconsole = false\n'
            "silence_hours = 36\nescalate_hours = 0\n"
        )
        self.pushed = [self._known(Repository.find(self.remote).resolve("HEAD"), 40.0)]

    def _known(self, commit, steps):
        self.steps[commit] = steps
        return commit

    def push_next(self):
        number = len(self.pushed)
        worse = WORSE <= number < MENDED or number >= WORSE_AGAIN
        self.pushed.append(self._known(self.push(number), 60.0 if worse else 40.0))

    def go_on(self):
        """One step of the service and of the nodes; whoever is killed starts again."""
        try:
            self.step(0)
        except Killed:
            self.faults.seen["service killed"] += 1
            self.store.close()
            self.store = Store.open(self.options.db)
            self.start()
        except StoreError:
            pass
        for executor in self.executors:
            if executor.problem is None:
                with suppress(StoreError):
                    self._nodes(executor)

    def _nodes(self, executor):
        for job in self.jobs(state="submitted", machine=executor.machine):
            if job.handle is None or executor.states[job.handle].state == "ended":
                continue
            if self.draw.random() < 0.1:  # before it began
                executor.states[job.handle] = Status("ended", text="NODE_FAIL")
                continue
            executor.states[job.handle] = Status("running", node="n1")
            try:
                work.work_on(self.options.db, str(self.here), job.claim)
            except Killed:
                self.faults.seen["node killed"] += 1
                self.asleep.append(job.claim)
            except JobLostError:
                self.faults.seen["lost"] += 1
            finally:
                executor.states[job.handle] = Status("ended")

    def wake(self):
        """Nodes that were given up come back with what they measured: they may not write it."""
        for claim in self.asleep:
            with Store.open(self.options.db) as store:
                job = queries.get_job(store, claim.job_id)
                if job.claim == claim and job.state in ("submitted", "running"):
                    continue  # nobody has noticed yet
            with pytest.raises((JobLostError, StoreError)):
                work.work_on(self.options.db, str(self.here), claim)
            self.faults.seen["woken"] += 1
        self.asleep.clear()


def answers(draw, count=400):
    """What the webhook answers: three requests in seven fail, one way or another."""
    return [draw.choice((200, 200, 200, 200, 500, "hang up", 503)) for _ in range(count)] + [200]


def test_a_week_in_which_everything_fails_loses_nothing_and_does_nothing_twice(
    tmp_path, monkeypatch
):
    draw = random.Random(1)
    with webhook_server(*answers(draw)) as (url, received):
        week = Week(tmp_path, draw, url)
        nodes = {machine: Node(week, machine) for machine in MACHINES}
        monkeypatch.setattr(work, "make_runner", lambda *_, machine, **__: nodes[machine])
        real = Store.write
        monkeypatch.setattr(Store, "write", lambda store, act: week.faults.write(real, store, act))
        live_through(week)
        calm(week)
        check(week, received)


def live_through(week):
    """Seven days: the clock moves by minutes or hours, and goes wrong."""
    pushes = iter(sorted(week.draw.uniform(0, 6.5) for _ in range(16)))
    due = next(pushes)
    while (passed := week.now - START) < 7 * DAY:
        jump = week.draw.random()
        step = week.draw.choice((MINUTE, HOUR, 2 * HOUR, 2 * HOUR))
        week.now += -45 * MINUTE if jump < 0.03 else 4 * HOUR if jump < 0.05 else step
        days = passed / DAY
        while due is not None and due <= days:
            week.push_next()
            due = next(pushes, None)
        week.faults.kill = 0.02
        week.faults.is_gone = 2.0 <= days < 2.0 + 1 / 24
        week.faults.is_full = 3.0 <= days < 3.1
        week.executors[1].problem = "no node answers" if 4.5 <= days < 6.5 else None
        week.go_on()
        if week.draw.random() < 0.1 and not (week.faults.is_gone or week.faults.is_full):
            week.faults.kill = 0.0
            week.wake()
    assert due is None


def calm(week):
    """Nothing fails any more: a day later all that was to be done is done."""
    week.faults.kill, week.faults.is_gone, week.faults.is_full = 0.0, False, False
    week.executors[1].problem = None
    for _ in range(24):
        week.now += 31 * MINUTE
        for _ in range(3):
            week.go_on()


def check(week, received):
    store, seen = week.store, week.faults.seen
    for fault in ("service killed", "node killed", "gone", "full"):
        assert seen[fault] > 0, f"the week had no fault of this kind: {fault} ({dict(seen)})"
    assert check_store(store) == []
    assert week.jobs(state="queued") == week.jobs(state="submitted") == []
    once, stored = Counter(), Counter()
    for job in week.jobs(kind="run"):
        launches = queries.job_launches(store, job)
        stored[job.machine] += launches
        if job.state == "done":
            assert launches == job.arguments["launches"]
        if "night" not in job.arguments:
            once[job.machine, job.revision.commit] += launches
    # Each commit once on each class: pushes, and the head that was there before.
    assert once == dict.fromkeys(
        ((machine, commit) for machine in MACHINES for commit in week.pushed), 1
    )
    runs = Counter(run.machine for run in queries.newest_runs(store, "engine", limit=1000)
                   if run.source == "schedule")  # fmt: skip
    assert runs == stored, "a launch that no job accounts for"
    # --- alerts: of each regression on each class, and of the silence
    alerts = queries.list_alerts(store, "engine", states=ALL_STATES)
    by_commit = {(a.machine, a.revision and a.revision.commit): a for a in alerts}
    assert len(by_commit) == len(alerts)
    bad, bad_again = week.pushed[WORSE], week.pushed[WORSE_AGAIN]
    assert by_commit.keys() == {
        *((machine, commit) for machine in MACHINES for commit in (bad, bad_again)),
        ("a100", None),
    }
    states = {key: alert.state for key, alert in by_commit.items()}
    assert all(states[machine, bad] == "resolved" for machine in MACHINES)
    assert all(states[machine, bad_again] == "open" for machine in MACHINES)
    assert states["a100", None] == "resolved"
    # --- messages: each stage once, repeated under its own key alone
    deliveries = queries.list_deliveries(store, "engine")
    assert {d.state for d in deliveries} <= {"delivered", "dropped"}
    messages = [(headers["Idempotency-Key"], body["pacekeeper"]) for headers, body in received]
    arrived = {(body["alert"]["id"], body["stage"]): key for key, body in messages}
    assert len(set(arrived.values())) == len(arrived) == len({key for key, _ in messages})
    delivered = {(d.alert_id, d.stage) for d in deliveries if d.state == "delivered"}
    assert delivered <= arrived.keys()
    told = {alert.id: [stage for number, stage in sorted(delivered) if number == alert.id]
            for alert in alerts}  # fmt: skip
    assert told[by_commit["h100", bad].id] == ["closed 1", "opened"]
    assert told[by_commit["h100", bad_again].id] == ["opened"]
    assert told[by_commit["a100", None].id] == ["closed 1", "opened"]
