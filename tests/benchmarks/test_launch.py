"""Real launches of the tiny preset: work, counters, artifacts."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.bench_counters import TinyPressed, TinyShared
from benchmarks.engine.in_process import run_in_process
from benchmarks.engine.models import QWEN3_8B, SMOLLM2, TINY
from tests.tracker.load.fake_nvml import POWER_CAP, FakeGpu, FakeNvml
from tracker.artifacts import read_launch
from tracker.domain import Fingerprint, Launch
from tracker.load.artifact import request_line
from tracker.load.catalogue import CATALOGUE
from tracker.load.drive import drive
from tracker.load.errors import UnavailableError
from tracker.load.lengths import Fixed
from tracker.load.metrics import counter_metrics
from tracker.load.nvml import open_gpus
from tracker.load.records import RequestRecord
from tracker.load.scenario import ClosedLoop, Independent, Model, OpenLoop, Replay, Scenario

ROOT = Path(__file__).parents[2]

SMALL = Scenario(
    version="1",
    model=TINY,
    workload=Independent(6, prompt=Fixed(20), output=Fixed(5)),
    load=ClosedLoop(3),
    engine={"max_model_len": 128},
)


@pytest.fixture
def no_artifacts(monkeypatch):
    monkeypatch.delenv("PACEKEEPER_ARTIFACTS", raising=False)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PACEKEEPER_ARTIFACTS", str(tmp_path_factory.mktemp("out") / "artifacts"))
        result = run_in_process("bench_serving.Small", SMALL)
    lines = [json.loads(line) for line in result.artifact.read_text().splitlines()]
    return result, lines


@pytest.mark.parametrize("suite", [TinyPressed, TinyShared], ids=lambda c: c.__name__)
def test_two_launches_do_the_same_work_and_count_the_same(suite, no_artifacts):
    one, two = (run_in_process("bench_counters.X", suite.work) for _ in range(2))
    assert one.failures == ()
    assert one.work == two.work
    assert one.counters == two.counters
    exact = [m.name for m in CATALOGUE.values() if m.kind == "exact"]
    assert {n: one.metrics.get(n) for n in exact} == {n: two.metrics.get(n) for n in exact}


def test_the_pressed_scenario_presses(no_artifacts):
    counters = run_in_process("bench_counters.TinyPressed", TinyPressed.work).counters
    assert counters["preemptions"] > 0
    assert counters["blocks_evicted"] > 0


def test_computing_again_after_a_preemption_costs_flops(no_artifacts):
    scenario = TinyPressed.work
    roomy = replace(scenario, engine={**scenario.engine, "num_blocks": 400})
    pressed, free = (run_in_process("x", s).metrics["flops_per_token"] for s in (scenario, roomy))
    assert pressed > free > 0


def test_a_commit_that_does_not_count_flops_is_skipped(no_artifacts):
    older = {"metrics": counter_metrics({"steps": 4, "tokens_generated": 4}), "void": None}
    assert math.isnan(TinyPressed().track_flops_per_token(older))


def test_losing_prefix_sharing_moves_the_exact_counters(no_artifacts):
    scenario = TinyShared.work
    off = replace(scenario, engine={**scenario.engine, "enable_prefix_sharing": False})
    shared = run_in_process("bench_counters.TinyShared", scenario).metrics
    unshared = run_in_process("bench_counters.TinyShared", off).metrics
    assert shared["prefix_hit_rate"] > 0.5
    assert unshared["prefix_hit_rate"] == 0.0
    assert unshared["prefix_hit_tokens"] == 0
    assert unshared["prefill_tokens"] > 2 * shared["prefill_tokens"]
    assert unshared["blocks_allocated"] > shared["blocks_allocated"]


def test_another_seed_is_other_work(no_artifacts):
    one = run_in_process("x", SMALL)
    two = run_in_process("x", replace(SMALL, seed=1))
    assert one.work["prompts_sha256"] != two.work["prompts_sha256"]
    assert one.artifact is None


def test_the_seed_makes_the_dummy_weights_unless_the_engine_has_its_own(no_artifacts):
    def tokens(**engine):
        scenario = replace(SMALL, seed=1, engine={**SMALL.engine, **engine})
        return run_in_process("x", scenario).work["tokens_sha256"]

    assert tokens() == tokens(seed=1)
    assert tokens() != tokens(seed=0)


def test_the_counters_are_those_of_the_timed_part_alone(no_artifacts):
    result = run_in_process("x", SMALL)
    assert result.counters["requests_submitted"] == result.work["requests"] == 6
    assert result.counters["prompt_tokens"] == result.work["prompt_tokens"]
    assert result.counters["tokens_generated"] == result.work["output_tokens"]


def test_the_warm_up_runs_at_the_concurrency_of_the_load(no_artifacts, monkeypatch):
    runs = []

    def recorded(engine, requests, params_of, **how):
        done = drive(engine, requests, params_of, **how)
        runs.append((len(requests), how["concurrency"], engine.counters()["steps"]))
        return done

    monkeypatch.setattr("benchmarks.engine.in_process.drive", recorded)
    run_in_process("x", replace(SMALL, warmup_output=2))
    # Two tokens each: three requests side by side take two steps, one after another six.
    assert runs == [(3, 3, 2), (6, 3, 10)]


def test_an_open_loop_on_the_real_engine(no_artifacts):
    result = run_in_process("x", replace(SMALL, load=OpenLoop(rate=100.0)))
    assert result.failures == ()
    assert result.metrics["duration"] >= 5 / 100.0


def test_a_refused_request_is_a_failure_of_the_launch(no_artifacts):
    result = run_in_process("x", replace(SMALL, engine={"max_model_len": 16}, warmup=0))
    assert len(result.failures) == 6
    assert "PromptError" in result.failures[0]
    assert result.metrics["error_rate"] == 1.0
    assert result.metrics["ttft_p50"] is None


def test_the_header_says_what_the_tracker_reads(written):
    result, lines = written
    header = lines[0]
    assert header["record"] == "launch"
    assert header["format"] == 1
    assert header["benchmark"] == "bench_serving.Small"
    assert header["launch_id"] == result.launch_id
    assert result.artifact.name == f"bench_serving.Small-{result.launch_id}.jsonl"
    assert header["started_at"].endswith("+00:00")
    assert header["telemetry"] is None
    assert header["work"]["requests"] == 6
    assert header["work"]["prompt_tokens"] == 120
    assert header["work"]["output_tokens"] == 30
    assert len(header["work"]["tokens_sha256"]) == 64
    assert header["work"]["finish_reasons"] == {"length": 6}
    assert header["work"]["cached_tokens"] == header["counters"]["prefix_hit_tokens"]
    assert header["counters"]["steps"] == header["metrics"]["steps"]
    assert header["scenario"]["model"]["name"] == "tiny"
    assert header["engine"]["model"] == "tiny"


def test_the_control_ran_before_and_after_the_load(written):
    header = written[1][0]
    assert set(header["control"]) == {"before", "after"}
    for name in ("gemm", "copy", "python"):
        times = [side[name] for side in header["control"].values()]
        assert header["metrics"][f"control_{name}"] == pytest.approx(sum(times) / 2)


def test_the_fingerprint_has_the_trackers_fields_and_no_others(written):
    fingerprint = written[1][0]["fingerprint"]
    assert set(fingerprint) == {f.name for f in dataclasses.fields(Fingerprint)}
    assert fingerprint["gpu_model"] is None
    assert fingerprint["gpu_count"] is None
    assert fingerprint["threads"] >= 1
    assert fingerprint["torch"]


def test_the_tracker_reads_the_artifact(written):
    result, lines = written
    read = read_launch(result.artifact)
    assert isinstance(read, Launch), read
    assert (read.benchmark, read.launch_id) == ("bench_serving.Small", result.launch_id)
    assert read.fingerprint.threads == lines[0]["fingerprint"]["threads"]
    assert read.fingerprint.extra == ()


def test_a_replayed_trace_is_part_of_the_fingerprint(tmp_path, monkeypatch):
    trace = tmp_path / "trace.csv"
    rows = "".join(f"2023-11-16 18:17:0{i}.0,40,8\n" for i in range(4))
    trace.write_text("TIMESTAMP,ContextTokens,GeneratedTokens\n" + rows)
    monkeypatch.setenv("PACEKEEPER_TRACE", str(trace))
    monkeypatch.setenv("PACEKEEPER_ARTIFACTS", str(tmp_path))
    result = run_in_process(
        "bench_serving.Replayed", replace(SMALL, workload=Replay(4, scale=1 / 4))
    )
    assert result.work["requests"] == 4
    assert result.work["prompt_tokens"] == 40
    read = read_launch(result.artifact)
    digest = hashlib.sha256(trace.read_bytes()).hexdigest()
    assert read.fingerprint.extra == (("trace", digest),)


def test_each_request_line_has_every_tokens_time_within_the_launch(written):
    header, *requests = written[1]
    assert [r["index"] for r in requests] == list(range(6))
    for line in requests:
        assert line["record"] == "request"
        assert line["finish_reason"] == "length"
        assert line["error"] is None
        assert len(line["token_times"]) == line["output_tokens"] == 5
        times = [line["submitted"], *line["token_times"]]
        assert times == sorted(times)
        assert 0 < header["window"][0] <= times[0]
        assert times[-1] <= header["window"][1] <= header["duration"]


def test_the_metrics_can_be_made_again_from_the_lines(written):
    header, *requests = written[1]
    last = max(r["token_times"][-1] for r in requests)
    first = min(r["submitted"] for r in requests)
    assert header["metrics"]["throughput"] == pytest.approx(30 / (last - first), rel=1e-6)


def test_nothing_half_written_stays(written):
    assert [p.suffix for p in written[0].artifact.parent.iterdir()] == [".jsonl"]


def test_a_launch_beside_a_gpu_carries_its_telemetry(tmp_path, monkeypatch):
    nvml = FakeNvml((FakeGpu(reasons=POWER_CAP),))
    monkeypatch.setattr(
        "benchmarks.engine.in_process.gpus_of", lambda device: open_gpus(["GPU-1"], nvml)
    )
    monkeypatch.setenv("PACEKEEPER_ARTIFACTS", str(tmp_path))
    result = run_in_process("bench_decode.Beside", SMALL)
    header, *lines = [json.loads(line) for line in result.artifact.read_text().splitlines()]
    (gpu,) = header["telemetry"]["gpus"]
    assert gpu["throttle_reasons"] == ["sw_power_cap"]
    assert header["tiers"]["gpu_utilization"] == "nvml"
    assert header["tiers"]["mbu_decode"] == "analytic"
    assert header["fingerprint"]["driver"] == "580.1"
    assert header["fingerprint"]["clocks_policy"] == "sm 1980 MHz, mem 2619 MHz"
    assert header["metrics"]["gpu_utilization"] == pytest.approx(0.87)
    # The window is far below 5 s: the energy is kept with its reason and makes no metric.
    assert header["telemetry"]["energy"] == 0.0
    assert header["telemetry"]["energy_valid"] is False
    assert header["metrics"]["energy_per_token"] is None
    samples = [line for line in lines if line["record"] == "telemetry"]
    assert len(samples) == gpu["samples"] >= 2
    assert all(0 < s["time"] < header["duration"] for s in samples)
    assert nvml.open == 0


def test_a_failed_request_says_why_in_its_line():
    failed = RequestRecord(0, 4, 3, 0.5, (1.0,), "length")
    line = request_line(failed, offset=10.0)
    assert line["error"] == "1 output tokens instead of 3"
    assert (line["submitted"], line["token_times"]) == (10.5, [11.0])


def test_a_model_that_was_never_fetched_is_unavailable(monkeypatch, tmp_path):
    monkeypatch.setenv("PACEKEEPER_CACHE", str(tmp_path))
    with pytest.raises(UnavailableError, match="fetch_smollm"):
        run_in_process("x", replace(SMALL, model=SMOLLM2))


def test_a_gpu_model_without_a_gpu_is_unavailable(monkeypatch):
    monkeypatch.setattr("benchmarks.engine.models._has_driver", lambda: False)
    with pytest.raises(UnavailableError, match="CUDA"):
        run_in_process("x", replace(SMALL, model=QWEN3_8B))


# The driver is there, a device is not.
PROBE = """
import types
from benchmarks.bench_startup import Qwen06
from benchmarks.engine import in_process, models
from tracker.load.drive import drive
from tracker.load.errors import UnavailableError

models.ctypes = types.SimpleNamespace(CDLL=lambda name: None)
made, import_engine = [], in_process.import_engine
in_process.import_engine = lambda: made.append(import_engine()) or made[0]
try:
    in_process.run_in_process("x", Qwen06.work)
except UnavailableError as error:
    print(made[0].seconds, error, sep="|")
"""


def test_where_there_is_a_driver_the_import_is_timed_before_torch_is_asked():
    # In a process of its own, for torch is in this one already.
    done = subprocess.run(
        [sys.executable, "-c", PROBE],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
    )
    assert done.returncode == 0, done.stderr
    seconds, _, error = done.stdout.strip().partition("|")
    assert error == "qwen3-0.6b needs a CUDA device and torch finds none"
    assert float(seconds) > 0


def test_an_unknown_preset_is_the_engines_error():
    with pytest.raises(ValueError, match="tinny"):
        run_in_process("x", replace(SMALL, model=Model("tinny")))
