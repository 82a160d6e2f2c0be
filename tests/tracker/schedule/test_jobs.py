"""The jobs against a real repository and store; only asv itself is replaced."""

import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from tests.tracker.alerts.server import webhook_server
from tests.tracker.changepoints.stores import STEPS
from tests.tracker.schedule.projects import clone, commit, git, make_project
from tracker.calibrate import Calibration
from tracker.domain import (
    CalibrationBlock,
    GateInfo,
    Measurement,
    ResultFile,
    RevisionInfo,
    RevisionRecord,
)
from tracker.errors import MeasurementError, UsageError
from tracker.schedule import jobs
from tracker.schedule.attempts import MAX_ATTEMPTS
from tracker.schedule.stopping import STOP
from tracker.store import Store, queries

START = datetime(2026, 1, 1, tzinfo=UTC)
ONE = RevisionInfo(1, "c" * 40, START)
GATE = GateInfo("g", "engine", "gpu-1", ONE, ONE, START, START, 0, 8, ())


@pytest.fixture
def remote(tmp_path):
    return make_project(tmp_path / "remote")


@pytest.fixture
def here(remote, tmp_path):
    return clone(remote, tmp_path / "here")


@pytest.fixture
def where(here, tmp_path):
    return {
        "db": f"sqlite:///{tmp_path}/store.db",
        "root": str(here),
        "project": "engine",
        "machine": "gpu-1",
        "branch": "main",
    }


@pytest.fixture
def measured(monkeypatch, here):
    """Every commit that was asked for; those of `measured.broken` fail."""

    class Asked(list):
        broken = ()
        value = 141

    asked = Asked()

    def measure(store, tree, project, machine, digest, *, launches):
        asked.append((digest, launches))
        if digest in asked.broken:
            return f"{digest[:8]}: asv fell over"
        (described,) = tree.repository.describe([digest])
        values = [
            Measurement(
                STEPS.name, "1", 0, (), "ok", asked.value, started_at=described.committed_at
            )
        ]
        store.record_benchmarks(project, [STEPS])
        store.record_revisions(
            project, [RevisionRecord(digest, described.committed_at, described.parents)]
        )
        file = ResultFile(
            path="x",
            digest=f"{digest}-{len(asked)}",
            format_version=2,
            machine=machine,
            commit=digest,
            committed_at=described.committed_at,
            env_name="existing",
            python="3",
            measurements=tuple(values),
        )
        store.record_file(project, file, benchmarks={STEPS.name: STEPS}, source="schedule")
        return None

    monkeypatch.setattr(jobs, "_measure", measure)
    return asked


@pytest.fixture(autouse=True)
def going_on():
    STOP.clear()
    yield
    STOP.clear()


def test_the_first_look_measures_the_head_only(remote, where, measured):
    head = commit(remote, 1)
    jobs.new_commits(**where)
    assert measured == [(head, 1)]


def test_each_new_commit_is_measured_once_oldest_first(remote, where, measured):
    jobs.new_commits(**where)
    new = [commit(remote, number) for number in (1, 2, 3)]
    measured.clear()
    jobs.new_commits(**where)
    assert [digest for digest, _ in measured] == new
    measured.clear()
    jobs.new_commits(**where)
    assert measured == []


def test_a_broken_commit_holds_up_nothing_and_is_given_up(remote, where, measured):
    jobs.new_commits(**where)
    broken, good = commit(remote, 1), commit(remote, 2)
    measured.broken = (broken,)
    measured.clear()
    with pytest.raises(MeasurementError, match=r"asv fell over \(attempt 1 of 3\)"):
        jobs.new_commits(**where)
    assert [digest for digest, _ in measured] == [broken, good]
    measured.clear()
    for attempt in range(2, MAX_ATTEMPTS + 1):
        with pytest.raises(MeasurementError, match=f"attempt {attempt} of 3"):
            jobs.new_commits(**where)
    jobs.new_commits(**where)
    assert [digest for digest, _ in measured] == [broken] * (MAX_ATTEMPTS - 1)
    head = commit(remote, 3)
    measured.broken = (head,)
    for attempt in range(1, MAX_ATTEMPTS + 1):
        with pytest.raises(MeasurementError, match=f"attempt {attempt} of 3"):
            jobs.new_commits(**where)
    measured.clear()
    jobs.new_commits(**where)
    assert measured == []


def test_a_regression_alerts_with_the_look_that_found_it(remote, where, measured, caplog, capsys):
    for number in (1, 2, 3):
        commit(remote, number)
        jobs.new_commits(**where)
    measured.value = 180
    culprit = commit(remote, 9)
    with caplog.at_level(logging.INFO, "pacekeeper.schedule"):
        jobs.new_commits(**where)
    with Store.open(where["db"]) as store:
        (alert,) = queries.list_alerts(store, "engine")
    assert alert.revision.commit == culprit
    assert alert.title in caplog.text
    assert alert.title in capsys.readouterr().err
    jobs.new_commits(**where)
    with Store.open(where["db"]) as store:
        assert len(queries.list_alerts(store, "engine")) == 1


def test_a_dead_webhook_fails_no_measurement(remote, here, where, measured, monkeypatch):
    monkeypatch.delenv("NO_SUCH_HOOK", raising=False)
    (here / "pacekeeper.toml").write_text(
        '[alerts]\nconsole = false\nwebhook = "$NO_SUCH_HOOK"\nallow_private = true\n'
    )
    jobs.new_commits(**where)
    measured.value = 180
    commit(remote, 9)
    jobs.new_commits(**where)
    with Store.open(where["db"]) as store:
        (alert,) = queries.list_alerts(store, "engine")
    assert "not delivered to webhook (environment variable NO_SUCH_HOOK is not set)" in alert.note
    # A later look repeats the delivery, although there is no new commit.
    later = datetime.now(UTC) + timedelta(minutes=1)
    monkeypatch.setattr(jobs, "notify", partial(jobs.notify, now=later))
    with webhook_server(200) as (url, received):
        monkeypatch.setenv("NO_SUCH_HOOK", url)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        jobs.new_commits(**where)
    assert len(received) == 1


def test_a_gate_does_not_count_as_measured(remote, where, measured):
    jobs.new_commits(**where)
    head = commit(remote, 1)
    with Store.open(where["db"]) as store:
        file = ResultFile("g", "g", 2, "gpu-1", head, git_time(remote), "existing", "3", measurements=(
            Measurement(STEPS.name, "1", 0, (), "ok", 141, started_at=git_time(remote)),
        ))  # fmt: skip
        store.record_file("engine", file, benchmarks={STEPS.name: STEPS}, source="gate")
    measured.clear()
    jobs.new_commits(**where)
    assert [digest for digest, _ in measured] == [head]


def git_time(root):
    return datetime.fromisoformat(git(root, "log", "-1", "--format=%cI"))


def test_a_stop_ends_the_look_between_commits(remote, where, measured, monkeypatch):
    jobs.new_commits(**where)
    new = [commit(remote, number) for number in (1, 2, 3)]
    real = jobs._measure

    def then_stop(*args, **kwargs):
        STOP.set()
        return real(*args, **kwargs)

    monkeypatch.setattr(jobs, "_measure", then_stop)
    measured.clear()
    jobs.new_commits(**where)
    assert [digest for digest, _ in measured] == new[:1]
    jobs.nightly(**where, launches=2)
    jobs.new_commits(**where)
    assert len(measured) == 1
    STOP.clear()
    monkeypatch.setattr(jobs, "_measure", real)
    jobs.new_commits(**where)
    assert [digest for digest, _ in measured] == new


def test_nightly_launches_the_head_again(remote, where, measured):
    head = commit(remote, 1)
    jobs.nightly(**where, launches=4)
    assert measured == [(head, 4)]
    measured.broken = (head,)
    with pytest.raises(MeasurementError, match="asv fell over"):
        jobs.nightly(**where, launches=4)


def test_backfill_fills_gaps_and_gives_a_broken_commit_up(remote, where, measured):
    jobs.backfill(**where, commits=2)
    assert measured == [], "nothing is measured yet, so that nothing is missing"
    old = [commit(remote, number) for number in (1, 2, 3)]
    jobs.new_commits(**where)
    measured.clear()
    measured.broken = (old[0],)
    with pytest.raises(MeasurementError, match=r"asv fell over \(attempt 1 of 3\)"):
        jobs.backfill(**where, commits=2)
    assert [digest for digest, _ in measured] == old[:2]
    for _ in range(MAX_ATTEMPTS - 1):
        with pytest.raises(MeasurementError):
            jobs.backfill(**where, commits=1)
    measured.clear()
    jobs.backfill(**where, commits=5)
    assert [digest for digest, _ in measured] == [
        git(remote, "rev-list", "--max-parents=0", "HEAD")
    ]


@pytest.mark.parametrize(
    ("gates", "false_blocks", "said"),
    [(3, 0, None), (3, 2, "2 of 3 A/A gates on this machine"), (0, 0, "does not start")],
)
def test_the_head_gets_its_gates_and_a_refuted_alpha_is_an_error(
    remote, where, monkeypatch, gates, false_blocks, said
):
    head = commit(remote, 1)

    def run_gates(recorder, runner, measured, policy, **how):
        assert (measured.hash, how["gates"]) == (head, 3)
        block = CalibrationBlock(
            "gpu-1", git_time(remote), gates, false_blocks, {"alpha": policy.alpha}
        )
        recorder.store.record_calibration("engine", block)
        ran = [replace(GATE, exit_code=int(number < false_blocks)) for number in range(gates)]
        return Calibration(
            "engine",
            "gpu-1",
            measured,
            policy,
            3,
            gates=ran,
            uncounted=[("invalid", "the core does not start")],
        )

    monkeypatch.setattr(jobs, "run_gates", run_gates)
    if said is None:
        jobs.calibrate(**where, gates=3)
    else:
        with pytest.raises(MeasurementError, match=said):
            jobs.calibrate(**where, gates=3)


def test_an_unreachable_remote_is_an_error_and_nothing_is_measured(remote, where, measured):
    remote.rename(remote.with_name("gone"))
    with pytest.raises(UsageError, match="fetch"):
        jobs.new_commits(**where)
    assert measured == []


def test_prune_removes_old_worktrees(here, where):
    jobs.prune(root=where["root"])
    assert (here / ".pacekeeper" / "worktrees").is_dir()
