"""The work that people ask for: queued once, taken once, measured, and ended with a result."""

import threading
from datetime import UTC, datetime

import pytest

from tests.tracker.fake_lab import STEPS, TTFT, FakeRunner, commits, recorder
from tracker.alerts import AlertsConfig, notify
from tracker.changepoints import analyze
from tracker.errors import MeasurementError, UsageError
from tracker.requests import request, request_fix
from tracker.schedule import requested as module
from tracker.schedule.requested import requested, service_name
from tracker.schedule.stopping import STOP
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

    def serve(self):
        requested(db=self.db, root=str(self.root), project="toy", machine="lab")

    def job(self, job_id):
        with Store.open(self.db, read_only=True) as store:
            return queries.get_job(store, job_id)

    def alert(self):
        with Store.open(self.db, read_only=True) as store:
            return self.item(store).alert


@pytest.fixture
def lab(toy, tmp_path, monkeypatch):
    STOP.clear()
    made = Lab(toy, tmp_path)
    monkeypatch.setattr(module, "make_runner", lambda *_, **__: made.runner)
    yield made
    STOP.clear()


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
    with pytest.raises(MeasurementError, match=complaint):
        lab.serve()
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


def test_a_job_that_fails_is_told_and_the_next_one_runs(lab, monkeypatch):
    broken, _ = lab.ask("bisect")
    good, _ = lab.ask("confirm")

    def falls_over(*_, **__):
        raise ZeroDivisionError("oh")

    monkeypatch.setattr(module, "bisect", falls_over)
    with pytest.raises(MeasurementError, match="a fault in Pacekeeper itself"):
        lab.serve()
    assert (lab.job(broken).state, lab.job(good).state) == ("failed", "done")
    assert "ZeroDivisionError" in lab.job(broken).result


def test_a_service_that_is_cut_off_goes_on_with_its_job_and_gives_up_in_the_end(lab, monkeypatch):
    job_id, _ = lab.ask("confirm")
    whole = lab.runner.launch
    name = service_name(str(lab.root), "lab")

    def cut_off(*_, **__):
        raise KeyboardInterrupt

    for attempt in (1, 2, 3):
        monkeypatch.setattr(lab.runner, "launch", cut_off)
        with pytest.raises(KeyboardInterrupt):
            lab.serve()
        assert (lab.job(job_id).state, lab.job(job_id).attempts) == ("running", attempt)
        monkeypatch.setattr(lab.runner, "launch", whole)
        lab.serve()  # another service of the checkout leaves it alone
        assert lab.job(job_id).state == "running"
        with Store.open(lab.db) as store:
            store.requeue_jobs("another service", now=NOW)
            assert queries.get_job(store, job_id).state == "running"
            assert store.requeue_jobs(name, now=NOW) == (1 if attempt < 3 else 0)
    assert (lab.job(job_id).state, lab.job(job_id).attempts) == ("failed", 3)
    assert "cut off" in lab.job(job_id).result


def test_a_stop_leaves_the_queue_for_the_next_start(lab):
    job_id, _ = lab.ask("confirm")
    STOP.set()
    lab.serve()
    assert lab.job(job_id).state == "queued"


def test_services_at_once_take_each_job_once(store_url):
    from tests.tracker.changepoints.histories import revision
    from tests.tracker.changepoints.stores import STEPS as EXACT
    from tests.tracker.changepoints.stores import record_history

    with Store.open(store_url) as store:
        record_history(store, {EXACT: [1] * 9})
        for number in range(8):
            store.request_job(
                "engine", "confirm", machine="gpu-1", commit=revision(number).commit,
                arguments={"n": number}, by="ann", now=NOW,
            )  # fmt: skip
        taken: list[int] = []

        def serve(name):
            with Store.open(store_url) as mine:
                while (job := mine.take_job("engine", "gpu-1", service=name, now=NOW)) is not None:
                    taken.append(job)

        threads = [threading.Thread(target=serve, args=(f"s{n}",)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(taken) == sorted(job.id for job in queries.list_jobs(store, "engine"))
        assert store.take_job("engine", "gpu-2", service="s", now=NOW) is None
        with pytest.raises(UsageError, match="no machine 'nosuch'"):
            store.request_job(
                "engine", "confirm", machine="nosuch", commit=revision(0).commit, arguments={},
                by="ann", now=NOW,
            )  # fmt: skip
