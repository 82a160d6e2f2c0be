"""Ceilings of this machine, and a launch that publishes and keeps its utilization."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from benchmarks.bench_decode import TinyB1
from benchmarks.bench_memory import Tiny as TinyMemory
from benchmarks.engine.ceiling import largest_cache, measure_ceiling, processor_ticks
from benchmarks.engine.in_process import run_in_process
from tracker.load.lengths import Fixed
from tracker.load.scenario import Independent

SHORT = replace(TinyB1.work, workload=Independent(2, prompt=Fixed(8), output=Fixed(4)))


def test_a_launch_publishes_utilization_and_keeps_its_tier(tmp_path, monkeypatch):
    monkeypatch.setenv("PACEKEEPER_ARTIFACTS", str(tmp_path))
    result = run_in_process("bench_decode.X", SHORT)
    header = json.loads(result.artifact.read_text().splitlines()[0])
    kept = header["utilization"]
    assert kept["tier"] == "analytic"
    for phase in ("prefill", "decode"):
        moved = result.counters["prefill_bytes"]
        if phase == "decode":
            moved = result.counters["model_bytes"] - moved
        expected = moved / kept["step_seconds"][phase] / kept["ceiling"]["bandwidth"]
        assert result.metrics[f"mbu_{phase}"] == pytest.approx(expected)
        assert result.metrics[f"mfu_{phase}"] > 0
    spent = sum(kept["step_seconds"].values())
    assert 0 < spent <= header["window"][1] - header["window"][0]
    assert result.metrics["cpu_share"] > 0
    assert result.metrics["memory_turnover"] is None, "a CPU has no memory of its own"
    assert result.metrics["graph_captures"] == 0


def test_an_engine_is_warmed_up_before_the_timed_part(monkeypatch):
    monkeypatch.delenv("PACEKEEPER_ARTIFACTS", raising=False)
    calls = []

    def warm_up(llm):
        calls.append(llm.counters()["requests_finished"])

    monkeypatch.setattr("inference.LLM.warm_up", warm_up)
    run_in_process("bench_decode.X", SHORT)
    assert calls == [2], "after the warm-up's two requests, before the load's"
    run_in_process("bench_memory.X", TinyMemory.work)
    assert calls == [2], "a load without a warm-up measures what it finds"


def test_an_older_engine_publishes_no_utilization_and_is_measured_all_the_same(monkeypatch):
    monkeypatch.delenv("PACEKEEPER_ARTIFACTS", raising=False)
    monkeypatch.delattr("inference.LLM.step_seconds")
    monkeypatch.delattr("inference.LLM.warm_up")
    metrics = run_in_process("bench_decode.X", SHORT).metrics
    assert metrics["mbu_decode"] is metrics["mfu_prefill"] is None
    assert metrics["tpot_p50"] > 0


def test_ceilings_are_those_of_a_computer():
    ceiling = measure_ceiling("cpu", "float32")
    assert 1e8 < ceiling.bandwidth < 1e13
    assert 1e8 < ceiling.flops < 1e14


def test_the_largest_cache_and_the_ticks_are_read_or_unknown(tmp_path):
    for index, size in enumerate(("48K", "2048K", "32M")):
        (tmp_path / f"index{index}").mkdir()
        (tmp_path / f"index{index}/size").write_text(size + "\n")
    assert largest_cache(tmp_path) == 32 << 20
    assert largest_cache(tmp_path / "none") == 0
    stat = tmp_path / "stat"
    stat.write_text("cpu  10 1 5 80 2 0 1 7 3 0\ncpu0 1 1 1 1\n")
    assert processor_ticks(stat) == (7, 106)
    stat.write_text("cpu 10 1 5\n")
    assert processor_ticks(stat) is None
    assert processor_ticks(tmp_path / "none") is None
