"""Real asv on a toy project: what a launch brings back, and what it says when it brings nothing."""

import json

import pytest

from tracker.errors import MeasurementError, UsageError
from tracker.measure.asv.runner import AsvRunner
from tracker.measure.machine import machine_name
from tracker.measure.project import load_project


def runner(**options):
    return AsvRunner(load_project(), machine="bench-node", **options)


def test_a_launch_measures_the_commit_and_not_the_checkout(toy, tmp_path):
    commit = toy.commit("fast", TTFT=0.1)
    toy.commit("later", TTFT=5.0)
    toy.write(TTFT=50.0)
    result = runner().launch(commit)
    values = result.values()
    assert values["bench_toy.Serve.track_ttft"] == pytest.approx(0.1, rel=0.01)
    assert (result.measured, result.expected) == (4, 4)
    assert result.failures == () and result.problems() == []
    assert result.file.machine == "bench-node" and result.file.commit == commit
    assert result.machine.cpu and result.machine.num_cpu
    assert result.benchmarks["bench_toy.Serve.track_steps"].kind == "exact"
    (launch,) = result.launches
    assert launch.benchmark == "bench_toy.Serve" and launch.fingerprint.torch == "2.0"
    known = json.loads((tmp_path / "home" / ".asv-machine.json").read_text())
    assert known["bench-node"]["machine"] == "bench-node"
    assert machine_name() == "bench-node"


def test_a_pattern_selects_and_two_launches_do_not_overwrite_each_other(toy):
    commit = toy.commit("one")
    one = runner(bench=["track_ttft"]).launch(commit)
    two = runner().launch(commit, bench=["track_steps$"])
    assert list(one.values()) == ["bench_toy.Serve.track_ttft"]
    assert list(two.values()) == ["bench_toy.Serve.track_steps"]
    assert one.directory != two.directory


def test_failures_come_with_reasons_and_status(toy):
    slow = runner().launch(toy.commit("slow", SLEEP=30))
    assert slow.failed() == {"bench_toy.Serve.track_ttft": "timed out after 2 s"}
    assert {m.benchmark: m.status for m in slow.file.measurements}[
        "bench_toy.Serve.track_ttft"
    ] == "timeout"
    assert (slow.measured, slow.expected) == (3, 4)
    odd = runner().launch(toy.commit("odd", RETURNS_DICT=True))
    assert "dict" in odd.failed()["bench_toy.Serve.track_ttft"]
    assert (odd.measured, odd.expected) == (3, 4)
    assert any(p.benchmark == "bench_toy.Serve.track_ttft" for p in odd.problems())


def test_a_commit_that_does_not_start(toy):
    with pytest.raises(MeasurementError, match="the core does not start") as caught:
        runner().launch(toy.commit("broken", CRASH=True))
    assert "log.txt" in str(caught.value)


def test_no_benchmark_matches(toy):
    with pytest.raises(MeasurementError, match="no benchmark matches --bench 'nothing'"):
        runner(bench=["nothing"]).launch(toy.commit("one"))


def test_a_suite_that_cannot_be_imported(toy):
    (toy.root / "benchmarks" / "bad.py").write_text("import nosuchmodule\n")
    with pytest.raises(MeasurementError, match="No module named 'nosuchmodule'"):
        runner().launch(toy.commit("one"))


def test_a_launch_that_takes_too_long_is_ended(toy):
    (toy.root / "benchmarks" / "bench_toy.py").write_text(
        "import time\ndef track_x():\n    time.sleep(60)\n    return 1\n"
    )
    commit = toy.commit("one")
    with pytest.raises(MeasurementError, match="stopped after 3 s"):
        runner(timeout=3).launch(commit)


def test_an_interpreter_that_is_not_there(toy):
    toy.commit("one")
    with pytest.raises(UsageError, match="--python /nowhere/python: no such interpreter"):
        runner(python="/nowhere/python")


def test_an_interpreter_without_asv(toy, tmp_path):
    other = tmp_path / "python"
    other.write_text("#!/bin/sh\nexit 1\n")
    other.chmod(0o755)
    with pytest.raises(MeasurementError, match="no usable environment"):
        runner(python=str(other)).launch(toy.commit("one"))


def test_discovery_runs_nothing(toy):
    found = runner().discover(toy.commit("broken", CRASH=True))
    assert found["bench_toy.Serve.track_ttft"].version == "1"
