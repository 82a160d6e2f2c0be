"""The batching suites differ in how they batch, and in nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.engine.find import scenarios
from benchmarks.engine.in_process import run_in_process
from tracker.load.errors import UnavailableError
from tracker.load.scenario import ClosedLoop

SUITES = {
    name.rpartition(".")[2]: scenario
    for name, scenario in scenarios().items()
    if name.startswith("bench_batching.")
}
MODES = ("Continuous", "Bucketed", "Padded")


def few(scenario, requests):
    """Return the scenario with a shorter queue."""
    return replace(
        scenario,
        workload=replace(scenario.workload, requests=requests),
        load=ClosedLoop(concurrency=requests),
    )


@pytest.fixture(autouse=True)
def no_artifacts(monkeypatch):
    monkeypatch.delenv("PACEKEEPER_ARTIFACTS", raising=False)


def test_the_three_modes_of_one_queue_are_given_the_same_work():
    queues = {name.removesuffix(mode) for name in SUITES for mode in MODES if name.endswith(mode)}
    assert {queue + mode for queue in queues for mode in MODES} == SUITES.keys()
    for queue in queues:
        one, *others = [replace(SUITES[queue + mode], engine={}) for mode in MODES]
        assert others == [one, one]


def test_padding_costs_and_buckets_cost_less():
    done = {mode: run_in_process("x", few(SUITES[f"TinyChat{mode}"], 32)) for mode in MODES}
    assert {result.failures for result in done.values()} == {()}
    assert len({result.work["tokens_sha256"] for result in done.values()}) == 1
    efficiency = {mode: result.metrics["batching_efficiency"] for mode, result in done.items()}
    assert efficiency["Continuous"] == 1.0
    assert efficiency["Padded"] < efficiency["Bucketed"] < 0.9
    steps = {mode: result.metrics["steps"] for mode, result in done.items()}
    assert steps["Continuous"] < min(steps["Bucketed"], steps["Padded"])


def test_a_setting_that_a_commit_does_not_have_skips_the_suite():
    scenario = replace(SUITES["TinyChatPadded"], engine={"batching": "padded", "of_tomorrow": 1})
    with pytest.raises(UnavailableError, match="EngineConfig has no of_tomorrow"):
        run_in_process("x", scenario)


def test_every_setting_of_every_suite_is_one_of_this_engine():
    from dataclasses import fields

    from inference import EngineConfig

    known = {field.name for field in fields(EngineConfig)}
    for name, scenario in scenarios().items():
        assert scenario.engine.keys() <= known, name
