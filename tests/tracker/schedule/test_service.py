"""The service: jobs kept in the store, run once or until a signal, failures reported."""

import logging
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tracker.errors import StoreError, UsageError
from tracker.schedule import Options, jobs, list_jobs, run_service
from tracker.schedule.jobstore import ServiceJobStore
from tracker.store import Store


@pytest.fixture
def options(tmp_path):
    return Options(
        db=f"sqlite:///{tmp_path}/store.db", root=str(tmp_path), project="engine", machine="gpu-1"
    )


@pytest.fixture
def ran(monkeypatch):
    """(job, arguments) of every job that ran."""
    calls = []
    for name in ("new_commits", "nightly", "prune"):

        def job(_name=name, **kwargs):
            calls.append((_name, kwargs))

        job.__module__, job.__qualname__, job.__name__ = jobs.__name__, name, name
        monkeypatch.setattr(jobs, name, job)
    return calls


def make_due(options, name, by=timedelta(seconds=5)):
    """Set a stored job's next run into the past."""
    jobstore = ServiceJobStore(options.db, options.prefix)
    jobstore._scheduler = jobstore._alias = None
    try:
        job = jobstore.lookup_job(options.prefix + name)
        job.next_run_time = datetime.now(UTC) - by
        jobstore.update_job(job)
    finally:
        jobstore.shutdown()


def next_runs(options):
    return {job.id.rpartition("/")[2]: job.next_run for job in list_jobs(options)}


def test_once_runs_what_is_due_and_leaves_the_rest(options, ran):
    assert run_service(options, once=True) == 0
    assert [name for name, _ in ran] == ["new_commits"]
    assert ran[0][1]["branch"] == "main"
    run_service(options, once=True)
    assert len(ran) == 1, "ten minutes have not passed"
    make_due(options, "new-commits")
    run_service(options, once=True)
    assert len(ran) == 2
    make_due(options, "nightly")
    run_service(options, once=True)
    assert [name for name, _ in ran] == ["new_commits", "new_commits", "nightly"]


def test_a_nightly_that_was_missed_by_a_day_waits_for_the_next(options, ran, caplog):
    run_service(options, once=True)
    # Its last time that passed: some hour of the last day that is more than six hours ago.
    hour = (datetime.now().astimezone() - timedelta(hours=8)).hour
    options = replace(options, nightly=(hour, 0))
    run_service(options, once=True)
    make_due(options, "nightly", timedelta(days=2, hours=1))
    with caplog.at_level(logging.WARNING, "pacekeeper.schedule"):
        run_service(options, once=True)
    assert "nightly" not in [name for name, _ in ran]
    assert "missed by too much" in caplog.text
    assert next_runs(options)["nightly"] > datetime.now(UTC)


def test_looks_missed_while_the_service_was_down_are_one_look(options, ran):
    run_service(options, once=True)
    make_due(options, "new-commits", timedelta(days=3))
    run_service(options, once=True)
    assert len(ran) == 2
    assert next_runs(options)["new-commits"] > datetime.now(UTC)


def test_restarts_neither_duplicate_nor_postpone(options, ran):
    run_service(options, once=True)
    before = next_runs(options)
    assert set(before) == {"new-commits", "nightly", "requested"}
    run_service(options, once=True)
    assert next_runs(options) == before


def test_changed_options_change_the_stored_jobs(options, ran):
    run_service(options, once=True)
    before = next_runs(options)
    changed = replace(options, branch="release", interval=7200, launches=9, prune=(4, 0))
    run_service(changed, once=True)
    after = next_runs(changed)
    assert set(after) == {"new-commits", "nightly", "prune", "requested"}
    assert after["nightly"] == before["nightly"]
    wait = after["new-commits"] - datetime.now(UTC)
    assert timedelta(minutes=110) < wait <= timedelta(hours=2)
    for name in ("new-commits", "nightly"):
        make_due(changed, name)
    run_service(changed, once=True)
    assert {kwargs["branch"] for name, kwargs in ran[1:]} == {"release"}
    assert [kwargs["launches"] for name, kwargs in ran if name == "nightly"] == [9]
    run_service(replace(changed, nightly=None, prune=None), once=True)
    assert set(next_runs(options)) == {"new-commits", "requested"}


def test_two_machines_share_a_store_and_not_their_jobs(options, ran):
    other = replace(options, machine="gpu-10", root="/other")
    percent = replace(options, machine="gpu%1")
    for one in (options, other, percent):
        run_service(one, once=True)
    assert [kwargs["machine"] for _, kwargs in ran] == ["gpu-1", "gpu-10", "gpu%1"]
    make_due(other, "new-commits")
    run_service(options, once=True)
    assert len(ran) == 3
    run_service(replace(options, nightly=None), once=True)
    assert len(list_jobs(options)) == 2
    assert len(list_jobs(other)) == len(list_jobs(percent)) == 3


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (UsageError("no branch 'x'"), 2, "new-commits failed: no branch 'x'"),
        (StoreError("locked"), 5, "new-commits failed: locked"),
        (ZeroDivisionError("oh"), 5, "ZeroDivisionError('oh')"),
    ],
)
def test_a_failed_job_is_reported_and_the_others_run(
    options, ran, monkeypatch, caplog, error, code, said
):
    run_service(options, once=True)

    def fails(*, db, root, project, machine, branch):
        raise error

    fails.__module__, fails.__qualname__, fails.__name__ = jobs.__name__, "new_commits", "x"
    monkeypatch.setattr(jobs, "new_commits", fails)
    for name in ("new-commits", "nightly"):
        make_due(options, name)
    assert run_service(options, once=True) == code
    assert [name for name, _ in ran] == ["new_commits", "nightly"]
    assert said in caplog.text
    assert next_runs(options)["new-commits"] > datetime.now(UTC)


def test_listing_changes_nothing(options, ran, tmp_path):
    with pytest.raises(StoreError):
        list_jobs(options)
    with Store.open(options.db):
        pass
    assert list_jobs(options) == []
    run_service(options, once=True)
    listed = {job.id.rpartition("/")[2]: job.trigger for job in list_jobs(options)}
    assert listed == {
        "new-commits": "interval[0:10:00]",
        "requested": "interval[0:00:15]",
        "nightly": "cron[hour='2', minute='0']",
    }
    assert [name for name, _ in ran] == ["new_commits"]


def test_the_store_is_still_a_store_afterwards(options, ran):
    run_service(options, once=True)
    with Store.open(options.db, read_only=True):
        pass


SERVICE = """
import logging, sys, time
from pathlib import Path
from tracker.schedule import Options, jobs, run_service
from tracker.schedule.stopping import STOP

log = Path(sys.argv[2])

def new_commits(*, db, root, project, machine, branch):
    for step in range(100):
        if STOP.is_set():
            break
        with log.open("a") as file:
            file.write(f"begin {step}\\n")
        time.sleep(float(sys.argv[3]))
        with log.open("a") as file:
            file.write(f"end {step}\\n")
    if sys.argv[4] == "fail":
        raise RuntimeError("on purpose")

new_commits.__module__ = jobs.__name__
jobs.new_commits = new_commits
logging.basicConfig(level=logging.INFO)
options = Options(db=sys.argv[1], root=".", project="e", machine="m", interval=1, nightly=None)
sys.exit(run_service(options))
"""


@pytest.fixture
def service(tmp_path):
    """Start a real service process whose look for commits takes `seconds` a commit."""
    started = []

    def start(seconds, outcome="pass"):
        script, log = tmp_path / "service.py", tmp_path / "log"
        script.write_text(SERVICE)
        args = [f"sqlite:///{tmp_path}/store.db", str(log), str(seconds), outcome]
        process = subprocess.Popen(
            [sys.executable, str(script), *args], stderr=subprocess.PIPE, text=True
        )
        started.append(process)
        return process, log

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()
        process.stderr.close()


def wait_for(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_the_measurement_finish(service, number):
    process, log = service(0.5)
    wait_for(lambda: log.exists() and "begin" in log.read_text())
    process.send_signal(number)
    assert process.wait(20) == 0
    lines = log.read_text().splitlines()
    assert lines[-1].startswith("end")
    assert len(lines) == 2 * len([line for line in lines if line.startswith("begin")])
    assert len(lines) <= 6
    assert "stopping after the measurement under way" in process.stderr.read()


def test_a_second_signal_breaks_it_off(service):
    process, log = service(60)
    wait_for(lambda: log.exists() and "begin" in log.read_text())
    process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    assert log.read_text() == "begin 0\n"
    assert "was broken off" in process.stderr.read()


def test_a_failing_job_is_run_again_at_its_time_and_the_idle_service_ends_at_once(tmp_path):
    script = tmp_path / "service.py"
    script.write_text(SERVICE.replace("range(100)", "range(1)"))
    log = tmp_path / "log"
    with subprocess.Popen(
        [sys.executable, str(script), f"sqlite:///{tmp_path}/s.db", str(log), "0", "fail"],
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        wait_for(lambda: log.exists() and log.read_text().count("begin") >= 3)
        began = time.monotonic()
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(20) == 0
        assert time.monotonic() - began < 10
        assert process.stderr.read().count("RuntimeError('on purpose')") >= 3


@pytest.mark.postgres
def test_the_jobs_live_in_postgresql_as_well(postgres_url, options, ran):
    options = replace(options, db=postgres_url)
    with Store.open(postgres_url):
        pass
    assert list_jobs(options) == []
    run_service(options, once=True)
    make_due(options, "nightly")
    run_service(options, once=True)
    assert [name for name, _ in ran] == ["new_commits", "nightly"]
    assert len(list_jobs(options)) == 3


def test_the_job_table_holds_no_url_and_jobs_are_given_it(options, ran):
    run_service(options, once=True)
    assert ran[0][1]["db"] == options.db
    engine = ServiceJobStore(options.db, options.prefix).engine
    with engine.connect() as connection:
        states = (
            connection.exec_driver_sql("select job_state from apscheduler_jobs").scalars().all()
        )
    assert states and not any(options.db.encode() in bytes(state) for state in states)
    make_due(options, "new-commits")
    run_service(options, once=True)
    assert ran[1][1]["db"] == options.db
