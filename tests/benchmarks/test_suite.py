"""The decorator, what asv reads of it, and the command line."""

from __future__ import annotations

import json
import math

import pytest

from benchmarks.__main__ import main
from benchmarks.engine.find import find_suite, scenarios
from benchmarks.engine.in_process import measure
from benchmarks.engine.models import QWEN3_8B, TINY
from tracker.errors import MeasurementError
from tracker.load.catalogue import CATALOGUE, pick
from tracker.load.errors import ScenarioError
from tracker.load.lengths import Fixed
from tracker.load.scenario import ClosedLoop, Independent, Scenario
from tracker.load.suite import benchmark_name, suite

SCENARIO = Scenario(
    version="7",
    model=TINY,
    workload=Independent(2, prompt=Fixed(8), output=Fixed(2)),
    load=ClosedLoop(1),
    engine={"max_model_len": 64},
)


@suite(SCENARIO, "ttft_p50", "steps", "error_rate")
class Small:
    def setup_cache(self):
        return measure(self)


def measured(void=None, **metrics):
    return {"metrics": metrics, "void": void}


def test_each_metric_becomes_a_method_with_its_attributes():
    track = Small.track_ttft_p50
    assert track.__name__ == "track_ttft_p50"
    assert (track.unit, track.better, track.kind) == ("s", "lower", "timing")
    assert track.version == "7.1"
    assert track.pretty_name == "Small: Time to first token, median"
    assert Small.track_steps.__name__ == "track_steps"
    assert Small.track_steps.kind == "exact"


def test_a_method_reads_its_metric():
    assert Small().track_ttft_p50(measured(ttft_p50=0.25)) == 0.25
    assert Small().track_steps(measured(steps=0)) == 0


def test_a_value_that_this_commit_or_machine_lacks_is_skipped():
    assert math.isnan(Small().track_steps(measured(steps=None)))
    assert math.isnan(Small().track_steps(measured()))


def test_failed_requests_invalidate_every_metric_but_their_own_rate():
    some = measured("1 of 2 requests failed: timed out", ttft_p50=0.25, steps=3, error_rate=0.5)
    with pytest.raises(MeasurementError, match="timed out"):
        Small().track_ttft_p50(some)
    with pytest.raises(MeasurementError, match="steps"):
        Small().track_steps(some)
    assert Small().track_error_rate(some) == 0.5


def test_what_is_unavailable_is_skipped_with_its_reason(monkeypatch):
    @suite(
        Scenario(version="1", model=QWEN3_8B, workload=SCENARIO.workload, load=SCENARIO.load),
        "steps",
    )
    class OnGpu:
        def setup_cache(self):
            return measure(self)

    monkeypatch.setattr("benchmarks.engine.models._has_driver", lambda: False)
    cache = OnGpu().setup_cache()
    with pytest.raises(NotImplementedError, match="CUDA"):
        OnGpu().setup(cache)


def test_a_measured_class_has_every_metric_it_publishes(monkeypatch):
    monkeypatch.delenv("PACEKEEPER_ARTIFACTS", raising=False)
    cache = Small().setup_cache()
    Small().setup(cache)
    assert Small().track_error_rate(cache) == 0.0
    assert Small().track_ttft_p50(cache) > 0
    assert Small().track_steps(cache) == 4


def test_a_class_needs_a_setup_cache_of_its_own():
    with pytest.raises(ScenarioError, match="setup_cache"):

        @suite(SCENARIO, "steps")
        class Inherits(Small):
            pass


def test_an_unknown_metric_is_named_with_the_nearest():
    with pytest.raises(ScenarioError, match="did you mean 'throughput'"):
        pick(["thruput"])
    with pytest.raises(ScenarioError, match="twice"):
        pick(["steps", "steps"])


def test_the_catalogue_speaks_the_trackers_words():
    for metric in CATALOGUE.values():
        assert metric.better in ("lower", "higher")
        assert metric.kind in ("timing", "rate", "utilization", "energy", "exact", "other")
        assert metric.unit
        assert metric.version


def test_a_class_is_named_as_asv_names_it():
    assert benchmark_name(Small) == "test_suite.Small"
    assert "bench_serving.TinyC4" in scenarios()


def test_scenarios_are_found_by_full_and_short_name():
    assert find_suite("TinyC4")[0] == "bench_serving.TinyC4"
    assert find_suite("bench_serving.TinyC4")[0] == "bench_serving.TinyC4"
    with pytest.raises(ScenarioError, match=r"bench_counters\.TinyShared, bench_serving\.Tiny"):
        find_suite("TinyShared")
    with pytest.raises(ScenarioError, match="did you mean 'TinyC4'"):
        find_suite("TinyC5")


def test_the_command_line_prints_json_and_writes_the_artifact(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("PACEKEEPER_ARTIFACTS", "unused")
    assert main(["bench_startup.Tiny", "--json", "--out", str(tmp_path)]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["benchmark"] == "bench_startup.Tiny"
    assert printed["metrics"]["error_rate"]["value"] == 0.0
    assert printed["artifact"].startswith(str(tmp_path))


def test_the_command_line_prints_units(capsys, monkeypatch):
    monkeypatch.delenv("PACEKEEPER_ARTIFACTS", raising=False)
    assert main(["bench_startup.Tiny"]) == 0
    out = capsys.readouterr().out
    assert "bench_startup.Tiny" in out
    line = next(x for x in out.splitlines() if x.startswith("ttft_p50"))
    assert line.endswith(" s")
    line = next(x for x in out.splitlines() if x.startswith("gpu_utilization"))
    assert line.split()[1] == "-"


def test_the_command_line_lists_and_refuses(capsys):
    assert main(["--list"]) == 0
    assert "bench_decode.TinyB8" in capsys.readouterr().out.splitlines()
    assert main(["TinyC5"]) == 2
    assert "did you mean" in capsys.readouterr().err
    with pytest.raises(SystemExit) as caught:
        main([])
    assert caught.value.code == 2
