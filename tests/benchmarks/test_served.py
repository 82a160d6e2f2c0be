"""The engine behind its own server as the target of a suite."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from benchmarks.engine import served
from benchmarks.engine.models import TINY
from benchmarks.engine.served import Served
from benchmarks.engine.source import SourceMismatchError
from tracker.errors import MeasurementError
from tracker.load.errors import UnavailableError
from tracker.load.lengths import Fixed
from tracker.load.run import run_scenario
from tracker.load.scenario import ClosedLoop, Independent, Scenario

SCENARIO = Scenario(
    version="1",
    model=TINY,
    workload=Independent(4, prompt=Fixed(20), output=Fixed(5)),
    load=ClosedLoop(2),
    engine={"max_model_len": 128, "enable_prefix_sharing": False},
)


def test_a_suite_starts_a_server_of_its_own_and_ends_it():
    started = []

    def opened(scenario):
        started.append(Served(scenario))
        return started[0]

    result = run_scenario("x", SCENARIO, opened)
    assert result.failures == ()
    assert result.work["output_tokens"] == 20
    assert result.metrics["server_running"] is not None
    assert started[0]._server._process.returncode is not None


def test_a_server_that_does_not_start_is_named():
    with pytest.raises(MeasurementError, match=r"did not start.*block_size"):
        Served(replace(SCENARIO, engine={"block_size": -1}))


def test_a_commit_without_a_server_is_skipped(monkeypatch):
    monkeypatch.setattr(served, "find_spec", lambda name: name == "inference" or None)
    with pytest.raises(UnavailableError, match=r"no inference\.serve"):
        Served(SCENARIO)


def test_the_server_is_the_measured_commits(monkeypatch, tmp_path):
    monkeypatch.setitem(os.environ, "PACEKEEPER_SOURCE", str(tmp_path))
    with pytest.raises(SourceMismatchError, match=str(tmp_path)):
        Served(SCENARIO)
