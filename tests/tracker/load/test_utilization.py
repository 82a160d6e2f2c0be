"""Utilization by hand: a scripted engine whose steps take known time and do known work."""

from __future__ import annotations

import pytest

from tests.tracker.load.fakes import FakeClock
from tracker.load.catalogue import CATALOGUE
from tracker.load.datasheet import datasheet
from tracker.load.utilization import (
    NAMES,
    TIER,
    Ceiling,
    against_datasheet,
    busy_seconds,
    cpu_metrics,
    profiler_metrics,
    utilization_metrics,
)

CEILING = Ceiling(bandwidth=1_000.0, flops=4_000.0)


class ScriptedEngine:
    """Adds up what its steps do; a step's time passes on a virtual clock."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.counts = dict.fromkeys(
            ("model_bytes", "model_flops", "prefill_bytes", "prefill_flops"), 0
        )
        self.seconds = {"prefill": 0.0, "decode": 0.0}

    def step(self, kind: str, *, seconds: float, num_bytes: int, flops: int) -> None:
        began = self.clock()
        self.clock.sleep(seconds)
        self.seconds[kind] += self.clock() - began
        for scope in ("model", "prefill") if kind == "prefill" else ("model",):
            self.counts[f"{scope}_bytes"] += num_bytes
            self.counts[f"{scope}_flops"] += flops


@pytest.fixture
def engine() -> ScriptedEngine:
    engine = ScriptedEngine()
    engine.step("prefill", seconds=2.0, num_bytes=500, flops=6_000)
    for _ in range(4):
        engine.clock.sleep(9.0)  # of the caller: in no step
        engine.step("decode", seconds=0.5, num_bytes=400, flops=200)
    return engine


def test_each_kind_of_step_is_held_against_its_own_time(engine: ScriptedEngine) -> None:
    values = utilization_metrics(engine.counts, engine.seconds, CEILING, device_memory=2_100)
    assert values == pytest.approx(
        {
            "mbu_prefill": 500 / 2 / 1_000,  # 0.25
            "mbu_decode": 1_600 / 2 / 1_000,  # 0.8
            "mfu_prefill": 6_000 / 2 / 4_000,  # 0.75
            "mfu_decode": 800 / 2 / 4_000,  # 0.1
            "memory_turnover": 2_100 / 4 / 2_100,  # 0.25
        }
    )


@pytest.mark.parametrize("missing", ["split", "seconds", "ceiling"])
def test_what_is_not_known_has_no_value(engine: ScriptedEngine, missing: str) -> None:
    counts = {k: n for k, n in engine.counts.items() if missing != "split" or "model" in k}
    seconds = None if missing == "seconds" else engine.seconds
    values = utilization_metrics(counts, seconds, None if missing == "ceiling" else CEILING)
    assert set(values.values()) == {None}


def test_a_kind_of_step_that_did_not_run_has_no_value() -> None:
    engine = ScriptedEngine()
    engine.step("prefill", seconds=2.0, num_bytes=500, flops=6_000)
    values = utilization_metrics(engine.counts, engine.seconds, CEILING)
    assert values["mbu_prefill"] == 0.25
    assert values["mbu_decode"] is values["mfu_decode"] is values["memory_turnover"] is None


def test_processor_share_and_steal() -> None:
    assert cpu_metrics(3.0, 2.0, (10, 1_000), (30, 1_400)) == {"cpu_share": 1.5, "cpu_steal": 0.05}
    assert cpu_metrics(3.0, 2.0, None, (30, 1_400))["cpu_steal"] is None
    assert cpu_metrics(3.0, 2.0, (30, 1_400), (30, 1_400))["cpu_steal"] is None, "no tick passed"
    assert cpu_metrics(3.0, 2.0, (5, 7), (5, 17))["cpu_steal"] == 0.0, "known to be none"


def test_the_title_of_a_figure_says_its_tier() -> None:
    metrics = [CATALOGUE[name] for name in (*NAMES, "memory_turnover")]
    assert {metric.kind for metric in metrics} == {"utilization"}
    assert all(f"({TIER})" in m.title for m in metrics if not m.name.startswith("cpu_"))


def test_the_datasheet_stands_beside_what_was_measured(engine: ScriptedEngine) -> None:
    stated = Ceiling(bandwidth=2_000.0, flops=8_000.0)
    assert against_datasheet(engine.counts, engine.seconds, stated) == pytest.approx(
        {
            "mbu_prefill_datasheet": 0.125,
            "mbu_decode_datasheet": 0.4,
            "mfu_prefill_datasheet": 0.375,
            "mfu_decode_datasheet": 0.05,
        }
    )
    assert set(against_datasheet(engine.counts, engine.seconds, None).values()) == {None}


@pytest.mark.parametrize(
    ("model", "bandwidth"),
    [
        ("NVIDIA H100 80GB HBM3", 3.35e12),
        ("NVIDIA H100 PCIe", 2.0e12),
        ("NVIDIA H200", 4.8e12),
        ("NVIDIA A100-SXM4-80GB", 2.039e12),
        ("NVIDIA A100-SXM4-40GB", 1.555e12),
        ("NVIDIA L4", 300e9),
        ("NVIDIA L40S", 864e9),
    ],
)
def test_a_gpu_has_its_own_datasheet(model: str, bandwidth: float) -> None:
    found = datasheet(model)
    assert found is not None
    assert found.bandwidth == bandwidth


def test_a_gpu_that_is_not_listed_has_no_datasheet() -> None:
    assert datasheet("NVIDIA GeForce RTX 4090") is datasheet(None) is None


def test_busy_share_and_host_gap_of_a_short_capture() -> None:
    # Two steps: kernels cover 0 to 3 and 5 to 6 ms, one of them inside another.
    intervals = [(0.0, 2e-3), (1e-3, 3e-3), (1e-3, 2e-3), (5e-3, 6e-3)]
    assert busy_seconds(intervals) == pytest.approx(4e-3)
    assert profiler_metrics(2.5e-3, intervals, 2) == pytest.approx(
        {"gpu_busy": 0.8, "host_gap": 0.5e-3}
    )
    assert set(profiler_metrics(2.5e-3, [], 0).values()) == {None}
    # The profiler slows the host down, not the device: more device time than wall is no gap.
    assert profiler_metrics(1e-3, [(0.0, 2e-3)], 1) == {"gpu_busy": 1.0, "host_gap": 0.0}
