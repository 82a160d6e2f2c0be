"""Jobs: queued once, run by one attempt at a time, and ended with a result."""

import threading
from datetime import UTC, datetime, timedelta

import pytest

from tests.tracker.fake_lab import STEPS, TTFT, FakeRunner, commits, recorder
from tracker.alerts import AlertsConfig, notify
from tracker.changepoints import analyze
from tracker.errors import JobLostError, UsageError
from tracker.execute import work as module
from tracker.execute.work import work_on
from tracker.requests import request, request_fix
from tracker.schedule.tasks import find_and_alert
from tracker.store import Store, queries
from tracker.stored_findings import triaged_at
from tracker.triage import MoveCommit

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
BEFORE, CULPRIT, HALF, FIX = 5, 6, 9, 10


class Lab:
    """A project whose commit 6 needs more steps, 9 takes back half of them, and 10 all."""

    def __init__(self, toy, tmp_path):
        self.db, self.root = f"sqlite:///{tmp_path}/store.db", toy.root
        self.hashes = [toy.commit(f"commit {number}", MOOD=number) for number in range(12)]
        steps = [40.0] * CULPRIT + [60.0] * (HALF - CULPRIT) + [50.0] + [40.0] * 2
        self.steps = dict(zip(self.hashes, steps, strict=True))
        self.runner = FakeRunner(toy.root, self.measure)
        with Store.open(self.db) as store:
            keeper = recorder(store, toy.root)
            for commit in commits(toy.root, f"{self.hashes[0]}..{self.hashes[HALF - 1]}"):
                keeper.commits([commit])
                keeper.launch(self.runner.launch(commit.hash), "run")
            analyze(store)
            notify(store, "toy", AlertsConfig(console=False, max_age_days=10_000))
        self.runner.launches.clear()

    def measure(self, commit, source):
        return {TTFT: 0.1, STEPS: self.steps[commit]}

    def item(self, store, number=CULPRIT):
        (item,) = triaged_at(store, "toy", self.hashes[number])
        return item

    def ask(self, kind, *, by="ann"):
        with Store.open(self.db) as store:
            return request(store, self.item(store), kind, by=by, now=NOW)

    def ask_fix(self, number):
        with Store.open(self.db) as store:
            return request_fix(store, self.item(store), self.hashes[number][:12], by="ann", now=NOW)

    def take(self):
        """Hand the next job out; return its claim, or None."""
        with Store.open(self.db) as store:
            job_id = store.take_job("toy", "lab", service="s", executor="local", now=NOW)
            return None if job_id is None else queries.get_job(store, job_id).claim

    def requeue(self, claim):
        with Store.open(self.db) as store:
            assert store.requeue_job(claim, "the node is gone", now=NOW) == "queued"

    def serve(self):
        """Run every queued job, then look at the histories; return what failed, by job."""
        failed = {}
        while (claim := self.take()) is not None:
            if (problem := work_on(self.db, str(self.root), claim)) is not None:
                failed[claim.job_id] = problem
        with Store.open(self.db) as store:
            find_and_alert(store, str(self.root), "toy", "lab", now=datetime.now(UTC))
        return failed

    def job(self, job_id):
        with Store.open(self.db, read_only=True) as store:
            return queries.get_job(store, job_id)

    def alert(self):
        with Store.open(self.db, read_only=True) as store:
            return self.item(store).alert


@pytest.fixture
def lab(toy, tmp_path, monkeypatch):
    made = Lab(toy, tmp_path)
    monkeypatch.setattr(module, "make_runner", lambda *_, **__: made.runner)
    return made


def test_a_finding_is_confirmed_by_a_paired_run_of_what_moved(lab):
    job_id, is_new = lab.ask("confirm")
    assert is_new and lab.ask("confirm") == (job_id, False)
    assert lab.job(job_id).arguments == {
        "base": lab.hashes[BEFORE],
        "head": lab.hashes[CULPRIT],
        "benchmarks": [STEPS],
        "metric": STEPS,
    }
    lab.serve()
    job = lab.job(job_id)
    assert (job.state, job.attempts, job.asked_by) == ("done", 1, "ann")
    assert {commit for commit, _ in lab.runner.launches} == {
        lab.hashes[BEFORE],
        lab.hashes[CULPRIT],
    }
    assert all(
        bench == (rf"^{STEPS.replace('.', chr(92) + '.')}(\(|$)",)
        for _, bench in lab.runner.launches
    )
    with Store.open(lab.db, read_only=True) as store:
        finding = lab.item(store).finding
        assert finding.confirmation == "confirmed"
        assert queries.get_gate(store, job.gate_id).outcome == "regression"
    assert "confirmed by a paired run" in lab.alert().note
    assert lab.ask("confirm")[1], "what has ended may be asked for again"


def test_a_bisection_names_the_commit(lab):
    job_id, _ = lab.ask("bisect")
    lab.serve()
    job = lab.job(job_id)
    assert job.state == "done"
    assert job.result.startswith(f"CULPRIT: {lab.hashes[CULPRIT][:8]}")


def test_only_a_pair_that_shows_no_regression_makes_an_alert_fixed(lab):
    wrong, _ = lab.ask_fix(HALF)
    lab.serve()
    assert lab.job(wrong).state == "done"
    assert lab.job(wrong).result.startswith("not fixed: gate ")
    assert lab.alert().state == "open"
    assert lab.alert().fixed_by == lab.hashes[HALF][:12]
    right, _ = lab.ask_fix(FIX)
    lab.serve()
    alert = lab.alert()
    assert (alert.state, lab.job(right).result[:7]) == ("fixed", "fixed: ")
    assert "shows none of 1 series worse" in alert.note
    base = {commit for commit, _ in lab.runner.launches}
    assert lab.hashes[BEFORE] in base and lab.hashes[CULPRIT] not in base


@pytest.mark.parametrize(
    ("number", "complaint"), [(BEFORE, "does not come after"), (3, "not come")]
)
def test_a_commit_before_the_regression_cannot_be_its_fix(lab, number, complaint):
    job_id, _ = lab.ask_fix(number)
    assert complaint in lab.serve()[job_id]
    assert lab.job(job_id).state == "failed"
    assert complaint in lab.job(job_id).result
    assert lab.alert().state == "open"
    assert lab.runner.launches == []


def test_a_fix_must_be_a_hash_of_another_commit(lab):
    with Store.open(lab.db) as store:
        item = lab.item(store)
        for fix, complaint in (("main", "no commit"), (lab.hashes[CULPRIT], "not its fix")):
            with pytest.raises(UsageError, match=complaint):
                request_fix(store, item, fix, by="ann", now=NOW)
        assert queries.list_jobs(store, "toy") == []


def test_a_moved_finding_is_measured_against_the_commit_before_its_new_place(lab):
    with Store.open(lab.db) as store:
        store.triage([lab.item(store).alert.id], MoveCommit("later"), by="ann", now=NOW)
        job_id, _ = request(store, lab.item(store, CULPRIT + 1), "confirm", by="ann", now=NOW)
    assert lab.job(job_id).arguments["base"] == lab.hashes[CULPRIT]
    assert lab.job(job_id).arguments["head"] == lab.hashes[CULPRIT + 1]


def test_a_job_that_fails_keeps_the_reason_and_the_next_one_runs(lab, monkeypatch):
    broken, _ = lab.ask("bisect")
    good, _ = lab.ask("confirm")

    def falls_over(*_, **__):
        raise ZeroDivisionError("oh")

    monkeypatch.setattr(module, "bisect", falls_over)
    assert "a fault in Pacekeeper itself" in lab.serve()[broken]
    assert (lab.job(broken).state, lab.job(good).state) == ("failed", "done")
    assert "ZeroDivisionError" in lab.job(broken).result


def queue_run(lab, launches=3):
    with Store.open(lab.db) as store:
        return store.request_job(
            "toy", "run", machine="lab", commit=lab.hashes[CULPRIT],
            arguments={"launches": launches}, by="ann", now=NOW,
        )[0]  # fmt: skip


def stored_runs(lab, job):
    with Store.open(lab.db, read_only=True) as store:
        return queries.job_launches(store, job)


def test_an_attempt_that_was_cut_off_counts_and_is_not_measured_again(lab):
    job_id = queue_run(lab)
    whole, launched = lab.runner.launch, []

    def dies_at_the_third(*args, **kwargs):
        if len(launched) == 2:
            raise KeyboardInterrupt
        launched.append(1)
        return whole(*args, **kwargs)

    lab.runner.launch = dies_at_the_third
    first = lab.take()
    with pytest.raises(KeyboardInterrupt):
        work_on(lab.db, str(lab.root), first)
    assert stored_runs(lab, lab.job(job_id)) == 2
    lab.runner.launch = whole
    lab.requeue(first)
    lab.serve()
    job = lab.job(job_id)
    assert (job.state, job.attempts, job.result) == ("done", 2, "launches stored: 3")
    assert stored_runs(lab, job) == 3


def test_a_node_that_was_given_up_writes_nothing_more(lab):
    """The store hands the job out again while the first attempt measures, and takes no more of it."""
    job_id = queue_run(lab)
    whole, first = lab.runner.launch, lab.take()

    def given_up(*args, **kwargs):
        if lab.job(job_id).attempts == 1 and lab.job(job_id).state == "running":
            lab.requeue(first)
            lab.serve()
        return whole(*args, **kwargs)

    lab.runner.launch = given_up
    with pytest.raises(JobLostError, match=f"attempt 1 of job {job_id} is not the one"):
        work_on(lab.db, str(lab.root), first)
    job = lab.job(job_id)
    assert (job.state, job.attempts, stored_runs(lab, job)) == ("done", 2, 3)


def test_one_process_begins_an_attempt_and_none_a_cancelled_or_ended_one(lab):
    job_id = queue_run(lab, launches=1)
    claim = lab.take()
    with Store.open(lab.db) as store:
        store.work_for(lab.job(job_id), node="n1", now=NOW)
    with pytest.raises(JobLostError):  # a second process of the same attempt
        work_on(lab.db, str(lab.root), claim)
    with Store.open(lab.db) as store:
        assert store.cancel_job(job_id, by="ann", now=NOW) == "cancelling"
        store.end_cancelled(job_id, now=NOW)
    with pytest.raises(JobLostError):
        work_on(lab.db, str(lab.root), claim)
    assert lab.job(job_id).state == "cancelled" and lab.runner.launches == []
    with Store.open(lab.db) as store, pytest.raises(UsageError, match="has ended: it is cancelled"):
        store.cancel_job(job_id, by="ann", now=NOW)


def test_a_job_that_ends_its_node_each_time_fails(lab):
    job_id = queue_run(lab)
    for attempt in (1, 2, 3):
        claim = lab.take()
        assert claim.attempt == attempt
        with Store.open(lab.db) as store:
            store.work_for(lab.job(job_id), node="n1", now=NOW)
            state = store.requeue_job(claim, "node n1 is gone", now=NOW + timedelta(minutes=1))
        assert state == ("queued" if attempt < 3 else "failed")
    job = lab.job(job_id)
    assert "cut off in each of 3 attempts, at last: node n1 is gone" in job.result
    assert job.seconds == pytest.approx(180, abs=0.1)


def test_services_at_once_take_each_job_once_the_most_urgent_first(store_url):
    from tests.tracker.changepoints.histories import revision
    from tests.tracker.changepoints.stores import STEPS as EXACT
    from tests.tracker.changepoints.stores import record_history

    with Store.open(store_url) as store:
        record_history(store, {EXACT: [1] * 9})

        def ask(number, machine="gpu-1", **options):
            return store.request_job(
                "engine", "confirm", machine=machine, commit=revision(number).commit,
                arguments={"n": number}, by="ann", now=NOW, **options,
            )  # fmt: skip

        late, _ = ask(8, priority=50)
        asked = [ask(number)[0] for number in range(8)]
        taken: list[int] = []

        def serve(name):
            with Store.open(store_url) as mine:
                while True:
                    job = mine.take_job(
                        "engine", "gpu-1", service=name, executor="local", now=NOW, below=50
                    )
                    if job is None:
                        return
                    taken.append(job)

        threads = [threading.Thread(target=serve, args=(f"s{n}",)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(taken) == asked, "the late one is not below 50"
        assert ask(8, priority=10) == (late, False), "asked for again, by somebody more urgent"
        take = {"service": "s", "executor": "local", "now": NOW}
        assert store.take_job("engine", "gpu-1", below=50, **take) == late
        assert store.take_job("engine", "gpu-2", **take) is None
        with pytest.raises(UsageError, match="no machine 'nosuch'"):
            ask(0, machine="nosuch")
        assert ask(0, machine="new", add_machine=True)[1]
        assert not ask(0, machine="new", once=True)[1]
