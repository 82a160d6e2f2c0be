"""The service as a process, with jobs on this machine: signals, crashes, a store that goes away."""

import os
import signal

import pytest

from tests.tracker.execute.nodes import NodeProject
from tests.tracker.schedule.site import Site
from tracker.errors import StoreError
from tracker.store import queries


@pytest.fixture
def project(tmp_path):
    made = NodeProject(tmp_path, "")
    yield made
    made.stop()


def test_a_signal_lets_the_job_finish_and_the_second_one_breaks_it_off(project):
    project.hold.touch()
    service = project.start()
    project.until(project.begun)
    service.send_signal(signal.SIGTERM)
    project.until(lambda: "stopping after the job" in (project.folder / "service.log").read_text())
    assert service.poll() is None
    project.hold.unlink()
    assert service.wait(30) == 0
    assert [job.state for job in project.jobs()] == ["done"]
    project.hold.touch()
    project.push(1)
    service = project.start()
    project.until(lambda: len(project.begun()) == 2)
    service.send_signal(signal.SIGINT)
    service.send_signal(signal.SIGTERM)
    assert service.wait(60) == 0
    job = project.jobs()[-1]
    assert (job.state, job.attempts) == ("queued", 1)
    assert "attempt 1 was cut off" in job.note
    assert len(project.runs()) == 1


def test_a_killed_service_leaves_its_job_running_and_the_next_one_follows_it(project):
    project.hold.touch()
    service = project.start()
    project.until(project.begun)
    job = project.jobs()[0]
    service.send_signal(signal.SIGKILL)
    service.wait()
    again = project.start()
    project.until(lambda: (project.folder / "service.log").read_text() and again.poll() is None)
    project.hold.unlink()
    project.until(lambda: project.jobs()[0].state == "done")
    assert len(project.begun()) == 1 and project.jobs()[0].attempts == 1
    assert len(project.runs()) == 1
    # Killed together with its job, as by a crash of the machine: the job is run again.
    project.hold.touch()
    project.push(1)
    project.until(lambda: len(project.begun()) == 2)
    job = project.jobs()[1]
    process = int(job.handle.partition(":")[0])
    again.send_signal(signal.SIGKILL)
    again.wait()
    os.killpg(process, signal.SIGKILL)
    project.hold.unlink()
    done = project.tracker("schedule", "--once", "--nightly", "off", "--machine", "desk")
    assert done.returncode == 0, done.stderr
    job = project.jobs()[1]
    assert (job.state, job.attempts, len(project.runs())) == ("done", 2, 2)
    assert "was cut off" in done.stderr


def test_a_cancelled_job_ends_its_process_and_the_next_one_runs(project):
    project.hold.touch()
    project.start()
    project.until(project.begun)
    done = project.tracker("schedule", "cancel", "1", "--by", "ann")
    assert "job 1: cancelling" in done.stdout
    project.until(lambda: project.jobs()[0].state == "cancelled")
    project.hold.unlink()
    commit = project.push(1)
    project.until(lambda: [job.state for job in project.jobs()] == ["cancelled", "done"])
    assert [run[0] for run in project.runs()] == [commit]
    status = project.tracker("schedule", "status", "--machine", "desk")
    assert status.returncode == 0 and ": running" in status.stdout


def test_a_store_that_goes_away_costs_no_job(tmp_path, monkeypatch):
    site = Site(tmp_path)
    site.step()
    real = queries.list_jobs

    def gone(*args, **kwargs):
        raise StoreError("the database is gone")

    monkeypatch.setattr(queries, "list_jobs", gone)
    with pytest.raises(StoreError):
        site.step()
    monkeypatch.setattr(queries, "list_jobs", real)
    assert len(site.run()) == 1
    site.store.close()


def test_a_fault_in_a_task_is_said_and_the_others_run(tmp_path, monkeypatch):
    from tracker.schedule import tasks

    def falls_over(*_, **__):
        raise ZeroDivisionError("oh")

    monkeypatch.setattr(tasks, "find_and_alert", falls_over)
    site = Site(tmp_path)
    assert len(site.run()) == 1
    status, text = site.status()
    assert "a fault in Pacekeeper itself: ZeroDivisionError('oh')" in text
    assert not status.is_healthy and site.service.exit_code == 5
    site.store.close()
