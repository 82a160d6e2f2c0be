"""NVML telemetry on scripted sessions: units, tiers, gaps, and None where nothing is known."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from tests.tracker.load.fake_nvml import (
    AMPERE,
    DISAPPEARING,
    HOPPER,
    IDLE,
    MIB,
    POWER_CAP,
    SW_THERMAL,
    THROTTLING,
    FakeGpu,
    FakeNvml,
)
from tests.tracker.load.fakes import FakeClock
from tracker.domain import Launch
from tracker.gate.gpus import gpu_complaints
from tracker.load.nvml import NvmlReading, open_gpu, open_gpus, visible_uuids
from tracker.load.telemetry import (
    INTERVAL,
    MOST_KEPT,
    Sampler,
    TelemetrySample,
    dcgm_processes,
    device_metrics,
    energy_used,
    own_processes,
    sample_lines,
    summarise,
)

READING = NvmlReading(power=200.0)


def one(**script):
    return open_gpu("GPU-1", FakeNvml((FakeGpu(**script),)))


def session(*gpus, seconds=10.0, serving=None, own=frozenset()):
    """Replay the GPUs' scripts under a sampler and return the summary and the driver."""
    clock = FakeClock()
    nvml = FakeNvml(gpus, clock)
    opened = open_gpus([gpu.uuid for gpu in gpus], nvml)
    sampler = Sampler(opened, serving=serving, clock=clock)
    for _ in range(round(seconds / INTERVAL) + 1):
        sampler.read()
        clock.sleep(INTERVAL)
    clock.sleep(-INTERVAL)
    sampler.end()
    for gpu in opened:
        gpu.close()
    assert nvml.open == 0
    assert nvml.samples == 0, "samples of the counters are given back"
    return summarise(sampler.gpus, own=own, dcgm=[]), sampler


def test_readings_are_in_base_units():
    reading = one(reasons=POWER_CAP | SW_THERMAL).read()
    assert reading == NvmlReading(
        utilization=0.87,
        memory_utilization=0.61,
        memory_used=5 * 2**30,
        power=300.0,
        sm_clock=1.98e9,
        memory_clock=2.619e9,
        temperature=55,
        throttle=("sw_power_cap", "sw_thermal_slowdown"),
    )


def test_gpu_idle_is_no_throttling():
    assert one(reasons=IDLE).read().throttle == ()


@pytest.mark.parametrize(
    ("value", "attribute"),
    [
        ("power", "power"),
        ("sm", "sm_clock"),
        ("mem", "memory_clock"),
        ("utilization", "utilization"),
        ("used", "memory_used"),
        ("temperature", "temperature"),
        ("reasons", "throttle"),
    ],
)
def test_what_the_device_does_not_support_is_none_and_no_problem(value, attribute):
    reading = one(**{value: None}).read()
    assert getattr(reading, attribute) is None
    assert reading.problem is None
    assert reading != NvmlReading()


def test_no_driver_or_no_such_device_is_no_gpu_and_leaves_nvml_closed():
    assert open_gpu("GPU-1", FakeNvml(has_driver=False)) is None
    assert visible_uuids(FakeNvml(has_driver=False)) == []
    nvml = FakeNvml()
    assert open_gpu("GPU-2", nvml) is None
    assert nvml.open == 0


def test_names_and_closing():
    nvml = FakeNvml((AMPERE,))
    gpu = open_gpu("GPU-A", nvml)
    assert (gpu.model(), gpu.driver()) == ("NVIDIA A100-SXM4-80GB", "580.1")
    assert gpu.clocks_policy() == "sm 1410 MHz, mem 1593 MHz"
    gpu.close()
    gpu.close()
    assert nvml.open == 0


@pytest.mark.parametrize(
    ("visible", "expected"),
    [
        (None, ["GPU-1", "GPU-A"]),
        ("1,0", ["GPU-A", "GPU-1"]),
        ("GPU-A", ["GPU-A"]),
        ("1,7,0", ["GPU-A"]),
        ("", []),
        ("-1", []),
    ],
)
def test_visible_gpus_are_those_that_cuda_programs_see(visible, expected, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert visible_uuids(FakeNvml((HOPPER, AMPERE)), visible) == expected


def test_hopper_counts_over_the_steady_part_alone():
    summary, _ = session(HOPPER)
    (gpu,) = summary["gpus"]
    assert gpu["tier"] == "gpm"
    # Ten seconds less a tenth at either end, on the grid of half seconds.
    assert gpu["counter_window"] == pytest.approx(8.0)
    assert gpu["counters"]["sm_active"] == pytest.approx(0.8)
    values, tiers = device_metrics(summary, tokens=600)
    assert values == pytest.approx(
        {
            "gpu_utilization": 0.87,
            "gpu_memory_utilization": 0.61,
            "sm_active": 0.8,
            "sm_occupancy": 0.4,
            "tensor_active": 0.25,
            "dram_active": 0.7,
            "pcie_traffic": 300.0 * MIB,
            "nvlink_traffic": None,
            "energy_per_token": 300 * 10 / 600,
            "tokens_per_joule": 600 / 3000,
        }
    )
    assert (tiers["sm_active"], tiers["gpu_utilization"]) == ("gpm", "nvml")
    assert "nvlink_traffic" not in tiers


def test_ampere_has_utilization_rates_under_their_own_name_and_no_counters():
    summary, _ = session(AMPERE)
    (gpu,) = summary["gpus"]
    assert (gpu["tier"], gpu["counters"], gpu["counter_problem"]) == ("nvml", None, None)
    values, tiers = device_metrics(summary, tokens=600)
    assert values["gpu_utilization"] == pytest.approx(0.87)
    assert values["sm_active"] is values["dram_active"] is values["pcie_traffic"] is None
    assert "sm_active" not in tiers


def test_a_window_that_is_too_short_gives_no_counters_and_says_so():
    (gpu,) = session(HOPPER, seconds=2.0)[0]["gpus"]
    assert gpu["counters"] is None
    assert gpu["counter_problem"] == "1.0 s of steady load with counters; 2 s are needed"


def test_a_long_session_keeps_a_bounded_number_of_counter_samples():
    seconds = 4 * MOST_KEPT * 0.5
    (gpu,) = session(HOPPER, seconds=seconds)[0]["gpus"]
    assert gpu["counter_window"] == pytest.approx(0.8 * seconds, abs=8.0)


def test_a_card_that_throttles_is_named_by_reason_and_share_and_the_gate_complains():
    summary, _ = session(THROTTLING)
    (gpu,) = summary["gpus"]
    assert gpu["throttle_reasons"] == [
        "hw_thermal_slowdown",
        "sw_power_cap",
        "sw_thermal_slowdown",
    ]
    assert gpu["throttled_share"]["sw_thermal_slowdown"] == pytest.approx(0.7, abs=0.01)
    assert (gpu["sm_clock_min"], gpu["temperature_max"]) == (1.2e9, 90)
    launch = Launch("p", "d", "l", "bench_decode.X", None, {"telemetry": summary})
    (complaint,) = gpu_complaints("head", type("Result", (), {"launches": [launch]}))
    assert "hw_thermal_slowdown in 70%" in complaint.text
    assert "sw_power_cap" not in complaint.text


def test_a_card_that_disappears_keeps_what_was_read_and_says_when():
    summary, _ = session(DISAPPEARING)
    (gpu,) = summary["gpus"]
    assert gpu["problem"] == ("nvmlDeviceGetTemperature: GPU is lost, first 3.0 s into the load")
    assert gpu["failed_samples"] == 71
    assert gpu["utilization_mean"] == pytest.approx(0.87)
    # Counters up to the last sample that it gave: 1.0 to 2.5 s.
    assert gpu["counter_problem"] == "1.5 s of steady load with counters; 2 s are needed"
    assert summary["energy"] is summary["energy_valid"] is None
    assert "stopped answering" in summary["energy_problem"]
    values, _ = device_metrics(summary, tokens=600)
    assert values["sm_active"] is values["energy_per_token"] is None


def test_every_visible_gpu_is_sampled_and_the_serving_ones_make_the_metrics():
    idle = replace(AMPERE, utilization=0)
    summary, sampler = session(HOPPER, idle, serving=1)
    assert [gpu["uuid"] for gpu in summary["gpus"]] == ["GPU-1", "GPU-A"]
    assert [gpu["serves"] for gpu in summary["gpus"]] == [True, False]
    assert {len(gpu.samples) for gpu in sampler.gpus} == {101}
    assert device_metrics(summary, None)[0]["gpu_utilization"] == pytest.approx(0.87)
    both, _ = session(HOPPER, replace(HOPPER, uuid="GPU-2"))
    values, _ = device_metrics(both, tokens=600)
    assert values["sm_active"] == pytest.approx(0.8)
    assert values["pcie_traffic"] == pytest.approx(600 * MIB)
    assert values["energy_per_token"] == pytest.approx(2 * 300 * 10 / 600)


def test_co_tenants_are_all_processes_but_our_own():
    shared = replace(HOPPER, pids=lambda t: (7, 8) if t < 5 else (7,))
    (gpu,) = session(shared, own=frozenset({7}))[0]["gpus"]
    assert gpu["co_tenants"] == [8]
    # Our own process is not in the list: another namespace counts, and nobody can be named.
    (gpu,) = session(shared, own=frozenset({9}))[0]["gpus"]
    assert gpu["co_tenants"] is None
    (gpu,) = session(replace(HOPPER, pids=None))[0]["gpus"]
    assert gpu["co_tenants"] is None
    assert os.getpid() in own_processes()


def test_dcgm_is_named_where_it_runs(tmp_path):
    for pid, name in (("12", "nv-hostengine"), ("13", "python"), ("x", "dcgm-exporter")):
        (tmp_path / pid).mkdir()
        (tmp_path / pid / "comm").write_text(f"{name}\n")
    assert dcgm_processes(tmp_path) == ["nv-hostengine"]
    assert dcgm_processes(tmp_path / "none") is None


def test_the_thread_reads_while_inside_and_stops():
    with Sampler([one()], interval=0.001) as sampler:
        while len(sampler.gpus[0].samples) < 3:
            pass
    taken = len(sampler.gpus[0].samples)
    assert not sampler._thread.is_alive()
    assert len(sampler.gpus[0].samples) == taken


def test_without_a_gpu_there_are_no_samples_and_no_summary():
    with Sampler([]) as sampler:
        pass
    assert sampler.gpus == []
    assert summarise(sampler.gpus, dcgm=None) is None
    values, tiers = device_metrics(None, 100)
    assert set(values.values()) == {None}
    assert tiers == {}


def steady(seconds, power=200.0, step=0.1):
    reading = replace(READING, power=power)
    return [TelemetrySample(i * step, reading) for i in range(round(seconds / step) + 1)]


def test_energy_over_a_long_steady_window_is_valid():
    assert energy_used(steady(6.0), 1200.0) == (1200.0, None)


@pytest.mark.parametrize(
    ("samples", "joules", "why"),
    [
        (steady(4.0), 800.0, "window of 4.0 s"),
        (steady(6.0), 1000.0, "power samples 1200 J"),
        (steady(6.0), 0.0, "0 J"),
        (steady(12.0, step=4.0), 2400.0, "4.0 s without"),
        ([TelemetrySample(0.0, NvmlReading())] * 99, 5.0, "no power samples"),
    ],
)
def test_energy_that_cannot_be_trusted_says_why(samples, joules, why):
    assert why in energy_used(samples, joules)[1]


def test_no_energy_counter_is_none():
    assert energy_used(steady(6.0), None)[0] is None


def test_a_summary_of_nothing_known_is_none_and_never_zero():
    nothing = dict.fromkeys(
        ("power", "sm", "highest", "mem", "utilization", "used", "temperature", "reasons", "pids")
    )
    summary, _ = session(FakeGpu(**nothing), seconds=1.0)
    (gpu,) = summary["gpus"]
    known = {name for name, value in gpu.items() if value is not None}
    assert known == {
        "uuid", "model", "serves", "window", "samples", "tier", "failed_samples", "energy_problem",
    }  # fmt: skip
    assert set(device_metrics(summary, 10)[0].values()) == {None}


def test_lines_count_from_the_launch():
    _, sampler = session(HOPPER, seconds=0.2)
    line = sample_lines(sampler.gpus, 99.0)[1]
    assert (line["record"], line["gpu"], line["power"]) == ("telemetry", "GPU-1", 300.0)
    assert line["time"] == pytest.approx(1.1)


def test_counters_have_lines_of_their_own_for_the_time_between_two_samples():
    _, sampler = session(HOPPER, seconds=3.0)
    counted = [line for line in sample_lines(sampler.gpus, 99.0) if "span" in line]
    assert [line["span"] for line in counted] == pytest.approx([0.5] * len(counted))
    assert len(counted) >= 5
    assert all(line["sm_active"] is not None and "power" not in line for line in counted)
