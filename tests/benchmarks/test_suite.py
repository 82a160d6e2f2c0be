"""The decorator, what asv reads of it, and the command line."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from benchmarks.__main__ import main
from benchmarks.engine.find import find_suite, scenarios
from benchmarks.engine.in_process import suite
from benchmarks.engine.models import QWEN3_8B, TINY
from tracker.errors import MeasurementError
from tracker.load.capacity import Capacity
from tracker.load.catalogue import CATALOGUE, pick
from tracker.load.drive import Drive
from tracker.load.errors import ScenarioError, UnavailableError
from tracker.load.lengths import Fixed
from tracker.load.records import RequestRecord
from tracker.load.scenario import ClosedLoop, Conversations, Independent, OpenLoop, Scenario
from tracker.load.suite import Sweep, Turns, benchmark_name
from tracker.load.suite import suite as load_suite
from tracker.load.target import Observation

SCENARIO = Scenario(
    version="7",
    model=TINY,
    workload=Independent(2, prompt=Fixed(8), output=Fixed(2)),
    load=ClosedLoop(1),
    engine={"max_model_len": 64},
)


@suite(SCENARIO, "ttft_p50", "steps", "error_rate")
class Small:
    """A load."""


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
        """A load."""

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


def test_a_class_without_a_target_needs_a_setup_cache_of_its_own():
    with pytest.raises(ScenarioError, match="a target or a setup_cache"):

        @load_suite(SCENARIO, "steps")
        class Inherits(Small):
            pass


class Scripted:
    """A target whose requests take a tenth of a second for every request in flight."""

    opened = 0
    gpus = ()
    num_serving = None
    vocab_size = 10

    def __init__(self, scenario):
        if scenario.load.concurrency == 4:
            raise UnavailableError("no room for four")
        type(self).opened += 1
        self.unit = scenario.load.concurrency / 10

    def drive(self, requests, concurrency):
        records = tuple(
            RequestRecord(r.index, 8, 2, 0.0, (self.unit, 2 * self.unit), "length")
            for r in requests
        )
        return Drive(0.0, 1.0, records, ((),) * len(records), ((),) * len(records))

    def begin(self):
        pass

    def finish(self, warm, done):
        return Observation(metrics={}, counters={}, engine={}, fingerprint={})

    def close(self):
        pass


def test_a_sweep_is_one_launch_for_each_value_of_its_parameter(monkeypatch):
    monkeypatch.delenv("PACEKEEPER_ARTIFACTS", raising=False)
    points = {c: replace(SCENARIO, load=ClosedLoop(c)) for c in (1, 2, 4)}

    @suite(Sweep("concurrency", points), "tpot_p50", "tpot_attenuation", target=Scripted)
    class Swept:
        """A load at several concurrencies."""

    instance = Swept()
    assert (instance.param_names, instance.params) == (["concurrency"], [[1, 2, 4]])
    cache = instance.setup_cache()
    assert Scripted.opened == 2
    assert [instance.track_tpot_p50(cache, c) for c in (1, 2)] == pytest.approx([0.1, 0.2])
    assert instance.track_tpot_attenuation(cache, 2) == pytest.approx(2.0)
    instance.setup(cache, 2)
    with pytest.raises(NotImplementedError, match="no room for four"):
        instance.setup(cache, 4)


CHATS = replace(
    SCENARIO, workload=Conversations(2, turns=3, system=4, user=Fixed(4), output=Fixed(2))
)


class Growing(Scripted):
    """A target whose n-th turn waits n tenths of a second for its first token."""

    def drive(self, requests, concurrency):
        turns = [(r.index // 2 + 1) / 10 for r in requests]
        records = tuple(
            RequestRecord(r.index, 8, 2, 0.0, (wait, wait + 0.1), "length")
            for r, wait in zip(requests, turns, strict=True)
        )
        return Drive(0.0, 1.0, records, ((),) * len(records), ((),) * len(records))


def test_every_turn_of_a_chat_is_a_point(monkeypatch):
    monkeypatch.delenv("PACEKEEPER_ARTIFACTS", raising=False)

    @suite(Turns(CHATS), "ttft_turn", "ttft_turn_growth", target=Growing)
    class Chats:
        """Chats."""

    instance = Chats()
    assert (instance.param_names, instance.params) == (["turn"], [[1, 2, 3]])
    cache = instance.setup_cache()
    assert [instance.track_ttft_turn(cache, t) for t in (1, 2, 3)] == pytest.approx([0.1, 0.2, 0.3])
    assert instance.track_ttft_turn_growth(cache, 3) == pytest.approx(3.0)
    with pytest.raises(ScenarioError, match="Conversations"):
        Turns(SCENARIO)


class Limited(Scripted):
    """A target that holds 12 requests a second, and whose client is the limit at 900."""

    def __init__(self, scenario):
        self.rate = scenario.load.rate

    def drive(self, requests, concurrency):
        wait = 0.1 if self.rate <= 12 else 9.0
        records = tuple(
            RequestRecord(r.index, 8, 2, 0.0, (wait, wait + 0.1), "length") for r in requests
        )
        return Drive(0.0, 1.0, records, ((),) * len(records), ((),) * len(records))

    def finish(self, warm, done):
        late = "the client was late" if self.rate >= 900 else None
        return Observation({}, {}, {}, {}, client_bound=late)


@pytest.mark.parametrize("start", [1.0, 64.0])
def test_a_search_publishes_the_highest_rate_and_the_load_at_it(monkeypatch, start):
    monkeypatch.delenv("PACEKEEPER_ARTIFACTS", raising=False)
    measured = search(start).setup_cache()
    assert 12 / 1.15 <= measured["metrics"]["max_rate"] <= 12
    assert measured["metrics"]["ttft_p95"] == pytest.approx(0.1)
    assert measured["void"] is None


def test_a_search_that_finds_nothing_is_no_pass(monkeypatch):
    monkeypatch.delenv("PACEKEEPER_ARTIFACTS", raising=False)
    instance = search(800.0)
    with pytest.raises(MeasurementError, match="no rate down to 50 requests/s held"):
        instance.track_max_rate(instance.setup_cache())
    late = search(900.0)
    with pytest.raises(NotImplementedError, match="client was late"):
        late.setup(late.setup_cache())


def search(start):
    @suite(Capacity(replace(SCENARIO, load=OpenLoop(start))), "max_rate", target=Limited)
    class Searched:
        """A search."""

    return Searched()


def test_points_of_a_sweep_have_one_engine():
    points = {1: SCENARIO, 2: replace(SCENARIO, engine={})}
    with pytest.raises(ScenarioError, match="concurrency=2 differs"):
        Sweep("concurrency", points)


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
