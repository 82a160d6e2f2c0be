"""Ray: a real cluster of several nodes, one of which dies in mid-run."""

import pytest

from tests.tracker.execute.nodes import NodeProject
from tests.tracker.execute.ray_cluster import RayCluster
from tracker.errors import ExecutorError
from tracker.execute.engines import executors_of
from tracker.execute.settings import ExecutorSettings

EXECUTORS = """
[executors.pool]
kind = "ray"
machine = "a100"
address = "{address}"
jobs = 2
"""


@pytest.mark.ray
def test_a_commit_whose_node_dies_is_measured_elsewhere_once_and_a_cancelled_job_frees_its_node(
    tmp_path,
):
    pytest.importorskip("ray.job_submission", reason="Ray is not installed (pacekeeper[ray])")
    cluster = RayCluster("n1", "n2")
    project = NodeProject(tmp_path, EXECUTORS.format(address=cluster.address))
    try:
        project.hold.touch()
        project.start()
        project.until(project.begun)
        first = project.until(lambda: project.jobs()[0].node)
        (job,) = project.jobs()
        assert (job.state, job.executor, job.machine) == ("running", "pool", "a100")
        cluster.kill_node(first)
        project.until(lambda: len(project.begun()) == 2)
        second = project.until(lambda: project.jobs()[0].node)
        assert {first, second} == {"n1", "n2"}
        project.hold.unlink()
        project.until(lambda: project.jobs()[0].state == "done")
        (job,) = project.jobs()
        assert job.attempts == 2
        assert project.runs() == [(job.revision.commit, second, job.key)]
        project.hold.touch()
        project.push(1)
        project.until(lambda: len(project.begun()) == 3)
        project.tracker("schedule", "cancel", "2", "--by", "ann")
        project.until(lambda: project.jobs()[1].state == "cancelled")
        project.hold.unlink()
        commit = project.push(2)  # needs the node that the cancelled job had
        project.until(lambda: project.jobs()[2].state == "done")
        assert [run[0] for run in project.runs()] == [job.revision.commit, commit]
    finally:
        project.stop()
        cluster.close()


def test_a_cluster_that_cannot_be_reached_is_an_error_that_names_it(tmp_path):
    pytest.importorskip("ray.job_submission", reason="Ray is not installed (pacekeeper[ray])")
    settings = ExecutorSettings(
        "pool", "ray", "a100", address="http://127.0.0.1:9", resource="a100"
    )
    (executor,) = executors_of([settings], machine="desk")
    with pytest.raises(
        ExecutorError, match=r"executor pool: Ray at http://127.0.0.1:9: .*dashboard run"
    ):
        executor.statuses(["x"])
