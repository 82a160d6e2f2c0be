"""Slurm: the commands against a real slurmctld with two slurmd, one of which dies."""

import subprocess

import pytest

from tests.tracker.execute.nodes import NodeProject
from tests.tracker.execute.slurm_cluster import NoSlurmError, SlurmCluster
from tracker.errors import ExecutorError
from tracker.execute import slurm
from tracker.execute.protocol import Order
from tracker.execute.settings import ExecutorSettings

EXECUTORS = """
[executors.pool]
kind = "slurm"
machine = "h100"
partition = "gpu"
jobs = 2
"""


@pytest.fixture
def cluster():
    try:
        with SlurmCluster() as made:
            yield made
    except NoSlurmError as error:
        pytest.skip(str(error))


@pytest.mark.slurm
def test_a_commit_whose_node_dies_is_measured_elsewhere_once_and_a_cancelled_job_frees_its_node(
    cluster, tmp_path
):
    project = NodeProject(tmp_path, EXECUTORS)
    project.environment |= cluster.environment
    try:
        project.until(lambda: set(cluster.states().values()) == {"idle"}, 30)
        project.hold.touch()
        project.start()
        first = project.until(lambda: project.begun()[0])
        (job,) = project.jobs()
        assert (job.state, job.node, job.executor, job.machine) == (
            "running",
            first,
            "pool",
            "h100",
        )
        cluster.kill_node(first)
        second = project.until(lambda: project.begun()[1])
        assert second != first, "each on a node for itself"
        project.hold.unlink()
        project.until(lambda: project.jobs()[0].state == "done")
        (job,) = project.jobs()
        assert (job.attempts, job.node) == (2, second)
        assert project.runs() == [(job.revision.commit, second, job.key)]
        project.hold.touch()
        project.push(1)
        project.until(lambda: len(project.begun()) == 3)
        assert cluster.states()[second] != "idle"
        project.tracker("schedule", "cancel", "2", "--by", "ann")
        project.until(lambda: project.jobs()[1].state == "cancelled")
        project.until(lambda: cluster.states()[second] == "idle", 20)
        assert len(project.runs()) == 1
    except AssertionError as error:
        raise AssertionError(f"{error}\n{cluster.log()}") from None
    finally:
        project.stop()


@pytest.fixture
def commands(monkeypatch):
    """Every command that would run, answered by a function of the test."""

    def run(command, *, input, env, **_):  # noqa: A002
        calls.append((command, input, env))
        answer = calls.answer(command)
        return subprocess.CompletedProcess(command, *answer)

    class Calls(list):
        answer = staticmethod(lambda command: (0, "", ""))

    calls = Calls()
    monkeypatch.setattr(slurm.subprocess, "run", run)
    return calls


ORDER = Order(
    "pacekeeper-7-1", ("python", "-m", "tracker", "schedule", "job", "7", "--attempt", "1"),
    "/here", {"PACEKEEPER_DB": "postgresql://u:secret@db/p"}, "/here/log", ("n9", "n3"),
)  # fmt: skip


def test_the_order_as_sbatch_gets_it(commands):
    settings = ExecutorSettings(
        "pool", "slurm", "h100", partition="gpu", constraint="h100", gpus=8, time_limit=240,
        options=("--account=perf",), directory="/srv/engine", command="/opt/bin/tracker -v",
    )  # fmt: skip
    commands.answer = lambda command: (0, "41;test\n" if command[0] == "sbatch" else "", "")
    assert slurm.SlurmExecutor(settings).submit(ORDER) == "41"
    command, script, environment = commands[-1]
    assert command[:4] == ("sbatch", "--parsable", "--exclusive", "--no-requeue")
    for option in (
        "--partition=gpu", "--constraint=h100", "--gpus-per-node=8", "--time=240",
        "--exclude=n3,n9", "--account=perf",
    ):  # fmt: skip
        assert option in command
    assert command[command.index("--chdir") + 1] == "/srv/engine"
    assert script.endswith("exec /opt/bin/tracker -v schedule job 7 --attempt 1\n")
    assert environment["PACEKEEPER_DB"] == ORDER.environment["PACEKEEPER_DB"]
    assert not any("secret" in word for word in (*command, script))
    exported = command[command.index("--export") + 1].split(",")
    assert "PACEKEEPER_DB" in exported and "ALL" not in exported


def test_an_order_that_is_there_already_is_not_submitted_again(commands):
    commands.answer = lambda command: (
        0,
        "40|pacekeeper-7-1|NODE_FAIL|n1|\n41|pacekeeper-7-1|PENDING||Resources\n",
        "",
    )
    assert slurm.SlurmExecutor(ExecutorSettings("pool", "slurm")).submit(ORDER) == "41"
    assert [command[0] for command, *_ in commands] == ["squeue"]


@pytest.mark.parametrize(
    ("line", "state", "node", "text"),
    [
        ("7|x|PENDING||Resources", "waiting", None, "Slurm: PENDING (Resources)"),
        ("7|x|RUNNING|n1|None", "running", "n1", ""),
        ("7|x|COMPLETING|n1|None", "running", "n1", ""),
        ("7|x|COMPLETED|n1|None", "ended", "n1", "Slurm: COMPLETED on n1"),
        ("7|x|NODE_FAIL|n1|NodeDown", "ended", "n1", "Slurm: NODE_FAIL on n1"),
        ("8|x|RUNNING|n1|None", "ended", None, "Slurm lists it no more"),
    ],
)
def test_states(commands, line, state, node, text):
    commands.answer = lambda command: (0, line + "\n", "")
    status = slurm.SlurmExecutor(ExecutorSettings("pool", "slurm")).statuses(["7"])["7"]
    assert (status.state, status.node, status.text) == (state, node, text)


@pytest.mark.parametrize(
    ("failure", "complaint"),
    [
        (
            FileNotFoundError(),
            "executor pool: squeue is not installed here; install Slurm's client",
        ),
        (subprocess.TimeoutExpired("squeue", 30), "did not answer within 30 s; is slurmctld up"),
        (
            (1, "", "x\nslurm_load_jobs error: Unable to contact slurm controller\n"),
            "Unable to contact",
        ),
    ],
)
def test_a_slurm_that_cannot_be_reached_is_an_error(commands, failure, complaint):
    def answer(_command):
        if isinstance(failure, Exception):
            raise failure
        return failure

    commands.answer = answer
    with pytest.raises(ExecutorError, match=complaint):
        slurm.SlurmExecutor(ExecutorSettings("pool", "slurm")).statuses(["7"])
