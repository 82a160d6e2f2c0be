"""Between queue and executors: nothing twice, nothing lost, and what is lost never looks like success."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.tracker.execute.fakes import FakeExecutor
from tests.tracker.schedule.site import START, Site
from tracker.domain import QuarantinedNode
from tracker.execute.protocol import Status
from tracker.store import Store


@pytest.fixture
def site(tmp_path):
    made = Site(tmp_path, FakeExecutor("pool", "h100", slots=2))
    yield made
    made.store.close()


@pytest.fixture
def pool(site):
    return site.executors[0]


def names(pool):
    return list(pool.orders)


def test_an_order_holds_the_command_and_the_store_s_url_in_its_environment_alone(site, pool):
    site.step()
    (order,) = pool.orders.values()
    assert order.command[1:] == ("-m", "tracker", "schedule", "job", "1", "--attempt", "1")
    assert order.environment == {"PACEKEEPER_DB": site.options.db}
    assert order.directory == site.options.root
    assert not any(site.options.db in word for word in order.command)


def test_slots_are_filled_and_never_exceeded_and_the_rest_says_why_it_waits(site, pool):
    site.run()
    for _ in range(4):
        site.push()
    site.step(31)
    assert len(site.jobs(state="submitted")) == 2
    site.step()
    _, text = site.status()
    assert text.count("pool runs 2 jobs at a time") == 2
    assert "submitted: job 2, run of " in text and "no node is free" in text


def test_a_node_that_dies_gives_the_job_to_another_and_counts_its_time(site, pool):
    site.step()
    (job,) = site.jobs()
    with Store.open(site.options.db) as node:
        node.work_for(job, node="n1", now=site.now)
        pool.states[job.handle] = Status("running", node="n1")
        site.step(60)
        assert site.jobs()[0].state == "running"
        pool.states[job.handle] = Status("ended", text="NODE_FAIL on n1")
        site.step()
        (again,) = site.jobs()
        assert (again.state, again.attempts, again.node) == ("submitted", 2, None)
        assert again.seconds == pytest.approx(61)
        assert len(names(pool)) == 2
        _, text = site.status()
        assert "attempt 2" in text
    assert site.serve()
    site.step()
    (done,) = site.jobs()
    assert (done.state, done.attempts) == ("done", 2)


def test_what_the_executor_calls_success_without_the_row_is_none(site, pool):
    site.step()
    for attempt in (1, 2, 3):
        (job,) = site.jobs()
        assert (job.state, job.attempts) == ("submitted", attempt)
        pool.states[job.handle] = Status("ended", text="COMPLETED")
        site.step()
    (job,) = site.jobs()
    assert job.state == "failed" and "at last: COMPLETED" in job.result
    assert site.service.exit_code == 4


def test_a_lost_executor_is_said_costs_no_attempt_and_is_tried_again(site, pool):
    pool.problem = "slurmctld does not answer"
    site.step()
    (job,) = site.jobs()
    assert (job.state, job.attempts) == ("queued", 0)
    status, text = site.status()
    assert not status.is_healthy
    assert "PROBLEM: executor pool: slurmctld does not answer" in text
    assert "waits: job 1" in text
    for _ in range(20):
        site.step(1)  # not in every step
    pool.problem = None
    site.step(31)
    assert site.jobs()[0].state == "submitted"
    pool.problem = "gone again"
    site.step()
    assert site.jobs()[0].state == "submitted", "what runs is not given up for that"
    pool.problem = None
    site.step(31)
    assert site.run() and site.jobs()[0].attempts == 1


def test_a_restart_follows_what_runs_and_hands_nothing_out_twice(site, pool):
    site.step()
    (job,) = site.jobs()
    site.start()
    site.step()
    assert names(pool) == [job.handle]
    # Killed between taking a job and noting its handle: the order of that name is there already.
    site.store.note_job(job.claim, handle=None)
    site.start()
    site.step()
    assert names(pool) == [job.handle] and site.jobs()[0].handle == job.handle
    assert site.run() == [job.revision.commit]


def test_a_cancelled_job_frees_its_node_and_is_not_queued_again(site, pool):
    site.step()
    (job,) = site.jobs()
    pool.states[job.handle] = Status("running", node="n1")
    assert site.store.cancel_job(job.id, by="ann", now=site.now) == "cancelling"
    site.step()
    assert pool.cancelled == [job.handle] and site.jobs()[0].state == "cancelling"
    pool.states[job.handle] = Status("ended", text="CANCELLED")
    site.step()
    (ended,) = site.jobs()
    assert (ended.state, ended.result) == ("cancelled", "cancelled by ann")
    waiting, _ = site.store.request_job(
        "engine", "run", machine="h100", commit=job.revision.commit, arguments={"launches": 1},
        by="ann", now=site.now, priority=99,
    )  # fmt: skip
    assert site.store.cancel_job(waiting, by="ann", now=site.now) == "cancelled"


def test_a_quarantined_node_is_avoided_until_it_is_released(site, pool):
    site.run()
    entry = QuarantinedNode("h100", "n2", "its fan is broken", "ann", site.now)
    site.store.quarantine_node("engine", entry)
    site.push()
    site.step(31)
    assert list(pool.orders.values())[-1].avoid == ["n2"]
    _, text = site.status()
    assert "quarantined: n2 of h100 by ann" in text and "release h100 n2" in text
    site.store.release_node("engine", "h100", "n2", now=site.now)
    site.run()
    site.push()
    site.step(31)
    assert list(pool.orders.values())[-1].avoid == []


def test_a_service_that_is_gone_is_not_healthy_and_says_that_nothing_is_measured(site):
    site.step()
    assert site.status()[0].is_healthy
    site.now += timedelta(hours=1)
    status, text = site.status()
    assert not status.is_healthy
    assert "NOT RUNNING (last seen 2026-03-01 12:00:01 UTC); nothing is measured" in text


def test_a_job_without_an_executor_of_its_class_says_so(site):
    site.run()
    commit = site.jobs()[0].revision.commit
    site.store.request_job(
        "engine", "run", machine="b200", commit=commit, arguments={"launches": 1}, by="ann",
        now=START, add_machine=True,
    )  # fmt: skip
    assert "no executor here has the machine class b200" in site.status()[1]


def test_services_of_two_checkouts_leave_each_other_s_jobs_alone(site, pool):
    site.step()
    (job,) = site.jobs()
    other = FakeExecutor("pool", "h100")
    site.executors = (other,)
    site.start(root=str(site.here) + "/.")
    site.step()
    assert other.orders == {} and site.jobs()[0].attempts == 1
    assert replace(job, note=None) == replace(site.jobs()[0], note=None)
