"""Launches of a command: one run of any program, its file read, its failures the commit's."""

from __future__ import annotations

import re

import pytest

from tests.tracker.measure.served import COMMAND, commit
from tracker.errors import MeasurementError
from tracker.gate.policy_file import parse_policy
from tracker.measure.project import load_project
from tracker.measure.runners import make_runner

MEASURED = """
[measure]
runner = "command"
command = "python3 bench.py {out}"
"""


@pytest.fixture
def runner_of(tmp_path, monkeypatch):
    root = tmp_path / "engine"

    def make(files=None, bench=(), **measure):
        head = commit(
            root, {"pacekeeper.toml": MEASURED, "bench.py": COMMAND, "delay": "10", **(files or {})}
        )
        monkeypatch.chdir(root)
        table = {"runner": "command", "command": "python3 bench.py {out}", **measure}
        policy = parse_policy({"measure": table, "gate": {"bench": list(bench), "timeout": 20}})
        return make_runner(load_project(), policy, machine="node"), head

    return make


def test_one_run_is_one_launch_of_the_commit_not_of_the_working_tree(runner_of, tmp_path):
    runner, head = runner_of()
    (tmp_path / "engine" / "delay").write_text("99")
    result = runner.launch(head)
    assert result.values() == {
        "csv.decode": pytest.approx(0.010, rel=0.02),
        "csv.steps": 40.0,
    }
    assert runner.project.name == "engine"
    assert {n: (i.unit, i.better, i.kind) for n, i in result.benchmarks.items()} == {
        "csv.decode": ("s", "lower", "timing"),
        "csv.steps": ("1", "lower", "exact"),
    }
    assert (result.file.machine, result.file.commit) == ("node", head)
    assert result.machine.name == "node"


def test_only_what_is_asked_for_is_in_the_result(runner_of):
    runner, head = runner_of(bench=["steps"])
    assert set(runner.launch(head).values()) == {"csv.steps"}
    assert set(runner.launch(head, bench=["decode"]).values()) == {"csv.decode"}
    assert set(runner.discover(head)) == {"csv.decode", "csv.steps"}
    with pytest.raises(MeasurementError, match="no benchmark matches --bench 'nothing'; there are"):
        runner.launch(head, bench=["nothing"])


def test_a_build_runs_once_for_a_commit_and_its_failure_is_the_commits(runner_of, tmp_path):
    runner, head = runner_of(build=f"echo built >> {tmp_path}/builds; cp bench.py built.py")
    runner.launch(head)
    runner.launch(head)
    assert (tmp_path / "builds").read_text() == "built\n"
    runner, head = runner_of(build="echo no compiler; exit 3")
    with pytest.raises(MeasurementError, match="the build failed with exit code 3: no compiler"):
        runner.launch(head)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("raise SystemExit('it broke')", "the command failed with exit code 1: it broke"),
        ("pass", "the command ended well and wrote no file to {out}"),
        ("import sys; open(sys.argv[1], 'w').write('?')", "cannot be read: of no format that is"),
        (
            "import sys; open(sys.argv[1], 'w').write('benchmark,value\\na,\\n')",
            "nothing was measured: csv.a: the file has no value of it",
        ),
        (
            "import sys; [open(sys.argv[1] + x, 'w').write('benchmark,value\\na,1\\n') for x in '12']",
            "the command wrote csv.a twice",
        ),
    ],
)
def test_what_is_no_measurement_says_why_and_where_its_log_is(runner_of, script, reason):
    runner, head = runner_of({"bench.py": script})
    with pytest.raises(MeasurementError, match=re.escape(reason)) as caught:
        runner.launch(head)
    assert head[:8] in str(caught.value)


def test_code_of_the_checkout_is_a_fault(runner_of, tmp_path):
    script = f"import sys; sys.path.insert(0, {str(tmp_path / 'engine')!r}); import core\n{COMMAND}"
    runner, head = runner_of({"bench.py": script, "core.py": ""})
    (fault,) = runner.launch(head).faults
    assert fault.kind == "code" and "core" in fault.text
