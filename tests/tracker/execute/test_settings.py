"""`[executors]`: what it says, and each mistake with file, key and mend."""

import pytest

from tracker.errors import ExecutorError, PolicyError
from tracker.execute.engines import executors_of
from tracker.execute.settings import ExecutorSettings
from tracker.gate.policy import identity_of
from tracker.gate.policy_file import parse_policy

SLURM = {"kind": "slurm", "machine": "h100", "partition": "gpu", "gpus": 8, "jobs": 2}
RAY = {"kind": "ray", "address": "http://head:8265"}


def settings(**tables):
    return parse_policy({"executors": tables}, "p.toml").executors


def test_without_a_table_this_machine_is_the_executor():
    (local,) = executors_of(settings(), machine="desk")
    assert (local.name, local.machine, local.slots) == ("local", "desk", 1)


def test_each_kind_is_read_and_gets_its_machine_class():
    desk, h100, a100 = settings(desk={"kind": "local"}, h100=SLURM, a100=RAY)
    assert (desk.machine, h100.machine, a100.machine) == (None, "h100", "a100")
    assert (a100.resource, a100.whole_node, a100.num_gpus) == ("a100", True, None)
    local, slurm = executors_of([desk, h100], machine="desk")
    assert (local.machine, slurm.machine, slurm.slots) == ("desk", "h100", 2)


@pytest.mark.parametrize(
    ("tables", "complaint"),
    [
        ({"x": {}}, r"p.toml: \[executors.x\] kind is missing: one of local, slurm, ray"),
        ({"x": {"kind": "k8s"}}, r"\[executors.x\] kind must be one of local, slurm, ray, not 'k8s'"),
        ({"x": {"kind": "slurm", "partitoin": "g"}}, r"unknown key 'partitoin'; did you mean 'partition'"),
        ({"x": {"kind": "ray", "partition": "g"}}, r'partition is for the kind "slurm", not for "ray"'),
        ({"x": {"kind": "local", "jobs": 2}}, r'jobs is for the kind "slurm", not for "local"'),
        ({"x": {"kind": "ray"}}, r"address is missing: that of the cluster's dashboard"),
        ({"x": {"kind": "ray", "address": "head"}}, r"address must be http://HOST:PORT, not 'head'"),
        ({"x": SLURM | {"gpus": 0}}, r"gpus must be a whole number, at least 1"),
        ({"x": SLURM | {"options": ["gpu"]}}, r"options: 'gpu' is no option; write --name=value"),
        ({"x": SLURM | {"directory": "engine"}}, r"directory must be an absolute path"),
        ({"x": SLURM, "y": SLURM}, r"x and y both have the machine 'h100': one executor for"),
        ({"x": {"kind": "local"}, "y": {"kind": "local"}}, r"both have the machine this machine's name"),
        ({"x": 3}, r"\[executors\] x must be a table"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_file_key_and_mend(tables, complaint):
    with pytest.raises(PolicyError, match=complaint):
        settings(**tables)


def test_this_machine_s_name_cannot_be_the_class_of_another_executor():
    with pytest.raises(PolicyError, match="'h100' is the name of this machine and of another"):
        executors_of(settings(desk={"kind": "local"}, h100=SLURM), machine="h100")


def test_executors_change_no_verdict():
    with_executors = parse_policy({"executors": {"h100": SLURM}}).as_dict()
    assert identity_of(with_executors) == identity_of(parse_policy({}).as_dict())


def test_ray_that_is_not_installed_is_named(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "ray.job_submission", None)
    with pytest.raises(
        ExecutorError, match=r"executor a100: Ray is not installed .* 'pacekeeper\[ray\]'"
    ):
        executors_of([ExecutorSettings("a100", "ray", address="http://x:1")], machine="desk")
