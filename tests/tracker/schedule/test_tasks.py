"""What the service queues by itself, on a virtual clock; only the measuring is replaced."""

from datetime import UTC, timedelta

import pytest

from tests.tracker.alerts.server import webhook_server
from tests.tracker.execute.fakes import FakeExecutor
from tests.tracker.schedule.projects import git
from tests.tracker.schedule.site import START, Site
from tracker.domain import PRIORITY_CONFIRM
from tracker.execute.protocol import Status
from tracker.schedule.tasks import MAX_FAILURES
from tracker.store import Store, queries


@pytest.fixture(autouse=True)
def utc(monkeypatch):
    monkeypatch.setattr("apscheduler.triggers.cron.get_localzone", lambda: UTC)


@pytest.fixture
def site(tmp_path):
    made = Site(tmp_path)
    yield made
    made.store.close()


def test_a_push_is_handed_out_within_a_minute_each_commit_once_oldest_first(site):
    first = git(site.remote, "rev-parse", "HEAD")
    assert site.run() == [first], "an old repository begins with its head"
    pushed = [site.push() for _ in range(3)]
    waited = 0.0
    while not site.jobs(state="submitted"):
        site.step(3)
        waited += 3
    assert waited <= 60
    assert site.run() == pushed
    site.run(seconds=120)
    assert site.commits() == [first, *pushed]


def test_several_branches_and_machine_classes_are_measured_apart(tmp_path):
    fast, slow = FakeExecutor("a", "h100", 2), FakeExecutor("b", "a100")
    site = Site(tmp_path, fast, slow, branches=("main", "release"))
    main = git(site.remote, "rev-parse", "HEAD")
    git(site.remote, "checkout", "-q", "-b", "release")
    release = site.push()
    git(site.remote, "checkout", "-q", "main")
    site.run()
    for machine in ("h100", "a100"):
        assert set(site.commits(machine=machine)) == {main, release}
    series = queries.list_series(site.store, "engine")
    assert {item.machine for item in series} == {"h100", "a100"}, "no series holds both classes"


def test_a_branch_that_cannot_be_fetched_is_a_problem_and_the_others_are_measured(site):
    site.start(branches=("nosuch", "main"))
    site.run()
    assert len(site.jobs()) == 1
    status, text = site.status()
    assert "nosuch" in text and not status.is_healthy


def test_a_broken_commit_holds_up_nothing_and_is_given_up(site):
    site.run()
    broken, good = site.push(), site.push()
    site.broken = {broken}
    assert site.run(seconds=31) == [broken, good]
    site.run(seconds=31)
    assert len(site.jobs(state="failed")) == 1, "not again at once"
    for _ in range(8):
        site.run(seconds=3600)
    assert site.commits(state="failed") == [broken] * MAX_FAILURES
    assert site.commits(state="done").count(good) == 1


def test_a_commit_whose_job_was_cancelled_is_left_alone_until_somebody_asks(site):
    site.run()
    commit = site.push()
    site.step(31)
    (job,) = site.jobs(state="submitted")
    site.store.cancel_job(job.id, by="ann", now=site.now)
    site.executors[0].states[job.handle] = Status("ended")
    for _ in range(5):
        site.step(3600)
    assert [job.state for job in site.jobs()] == ["done", "cancelled"]
    site.store.request_job(
        "engine", "run", machine="lab", commit=commit, arguments={"launches": 1}, by="ann",
        now=site.now,
    )  # fmt: skip
    assert site.run() == [commit]


def test_nightly_and_calibration_are_queued_once_a_night_over_restarts_and_crashes(site):
    site.start(nightly=(2, 0), calibrate=(4, 0), launches=4, gates=2)
    site.run()
    site.now = (START + timedelta(days=1)).replace(hour=2)
    site.step()
    # The service dies between queueing and noting that it did.
    task = next(t for t in queries.list_tasks(site.store, "engine") if t.name == "nightly")
    site.store.record_task("engine", type(task)(task.service, task.name, task.due_at))
    site.start()
    site.run()
    site.start()
    site.run(seconds=3600)
    site.now = site.now.replace(hour=5)
    site.run()
    (nightly,) = [job for job in site.jobs(kind="run") if job.arguments["launches"] == 4]
    (calibration,) = site.jobs(kind="calibrate")
    assert calibration.arguments["gates"] == 2
    assert nightly.revision.commit == calibration.revision.commit
    assert nightly.state == calibration.state == "done"
    site.now += timedelta(days=1)
    site.run()
    assert len(site.jobs(kind="calibrate")) == 2


def test_backfill_takes_what_the_budget_of_device_time_leaves(site):
    site.run()
    old = [site.push() for _ in range(7)]
    head = site.push()
    measured = [old[3], head]
    for digest in measured:  # by somebody else
        with Store.open(site.options.db) as store:
            site.record(store, digest, "lab")
    site.start(backfill=(13, 0), commits=3, budget=30)
    site.step()  # a new service waits for its first time
    site.now = START + timedelta(hours=1)
    site.step()
    assert site.commits(priority=50) == [old[1], old[5], old[0]], "the middle of the largest gaps"
    assert len(site.serve()) == 1
    job_id, _ = site.store.request_job(
        "engine", "run", machine="lab", commit=head, arguments={"launches": 9}, by="ann",
        now=site.now,
    )  # fmt: skip
    site.step()
    (asked,) = site.jobs(state="submitted")
    assert asked.id == job_id, "what a person asks for comes first"
    with Store.open(site.options.db) as store:
        store.work_for(asked, node="n1", now=site.now)
        site.now += timedelta(minutes=31)
        store.finish_job(asked.claim, "done", "measured", now=site.now)
    for _ in range(5):
        site.step(60)
    assert not site.jobs(state="submitted") and len(site.jobs(state="queued")) == 2
    status, text = site.status()
    assert status.is_healthy
    assert (
        "waits: job" in text and "the day's budget of 30 device minutes is spent (31 used)" in text
    )
    new = site.push()
    site.step(40)
    assert site.serve() == [new], "new commits do not wait for the budget"
    site.now += timedelta(days=1)
    assert site.run()[:2] == [old[5], old[0]]


def test_a_regression_alerts_is_confirmed_in_pairs_and_bisected(site):
    for _ in range(4):
        site.push()
        site.run(seconds=31)
    site.value = 180.0
    site.push()
    hidden = site.push()
    # Only the newest of the two is measured: either may be the culprit.
    with Store.open(site.options.db) as store:
        site.record(store, hidden, "lab")
    site.step(400)
    (alert,) = queries.list_alerts(site.store, "engine")
    assert alert.revision.commit == hidden and alert.state == "open"
    (confirm,) = site.jobs(kind="confirm")
    assert (confirm.asked_by, confirm.priority) == ("tracker schedule", PRIORITY_CONFIRM)
    assert confirm.arguments["head"] == hidden
    site.run()
    site.step(400)
    assert len(site.jobs(kind="confirm")) == 1, "asked for once"
    assert not site.jobs(kind="bisect"), "no gate has confirmed it"
    record_gate(site, confirm)
    site.step(400)
    (bisect,) = site.jobs(kind="bisect")
    assert bisect.arguments["base"] == confirm.arguments["base"]
    site.run()
    site.step(400)
    assert len(site.jobs(kind="bisect")) == 1


def record_gate(site, job):
    """The valid gate that a paired run of a confirmation leaves."""
    from tests.tracker.changepoints.stores import STEPS
    from tracker.domain import VerdictInfo

    gate_id = site.store.begin_gate(
        "engine", base=job.arguments["base"], head=job.arguments["head"], machine="lab", policy={}
    )
    verdict = VerdictInfo(
        gate_id=gate_id, metric=STEPS.name, unit="1", better="lower", kind="exact",
        status="regression", effect=0.28, low=0.28, high=0.28, pairs=1, base=141, head=180,
        mde=0.0, reason="",
    )  # fmt: skip
    site.store.finish_gate(gate_id, 1, [verdict], 1, outcome="regression")


def test_no_confirm_queues_nothing(tmp_path):
    site = Site(tmp_path, confirm=False)
    for value in (141.0, 141.0, 141.0, 180.0):
        site.value = value
        site.push()
        site.run(seconds=31)
    assert len(queries.list_alerts(site.store, "engine")) == 1
    assert {job.kind for job in site.jobs()} == {"run"}


def test_a_dead_webhook_fails_no_measurement_and_is_tried_again(site, monkeypatch):
    monkeypatch.delenv("NO_SUCH_HOOK", raising=False)
    (site.here / "pacekeeper.toml").write_text(
        '[alerts]\nconsole = false\nwebhook = "$NO_SUCH_HOOK"\nallow_private = true\n'
    )
    site.run()
    site.value = 180.0
    site.push()
    site.run(seconds=31)
    (alert,) = queries.list_alerts(site.store, "engine")
    assert "not delivered to webhook (environment variable NO_SUCH_HOOK is not set)" in alert.note
    with webhook_server(200) as (url, received):
        monkeypatch.setenv("NO_SUCH_HOOK", url)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        site.step(3600)
    assert len(received) == 1


def test_prune_removes_old_worktrees_and_logs_and_thins_out_raw_data(site):
    site.start(prune=(13, 0), keep_days=30)
    site.run()
    log = site.here / ".pacekeeper" / "jobs" / "0-1.log"
    log.write_text("")
    import os

    os.utime(log, (0, 0))
    site.now = START + timedelta(hours=1)
    site.step()
    assert not log.exists() and (site.here / ".pacekeeper" / "worktrees").is_dir()


def test_the_backup_is_the_whole_store_and_the_newest_seven_stay(site, tmp_path):
    from tracker.store.dump import import_store

    site.start(backup=(13, 0), backup_dir=str(tmp_path / "backups"))
    site.run()
    for day in range(9):
        site.now = START + timedelta(days=day, hours=1)
        site.step()
    files = sorted((tmp_path / "backups").iterdir())
    assert len(files) == 7
    with Store.open(f"sqlite:///{tmp_path}/again.db") as copy:
        import_store(copy, files[-1])
        assert [s.num_points for s in queries.list_series(copy, "engine")] == [1]


def test_an_unreachable_remote_is_a_problem_and_nothing_is_queued(site):
    site.remote.rename(site.remote.with_name("gone"))
    site.step()
    assert site.jobs() == []
    _, text = site.status()
    assert "new commits: " in text and "fetch" in text
