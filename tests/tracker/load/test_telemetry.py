"""NVML telemetry with a fake device: units, gaps, and None where nothing is known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.tracker.load.fakes import FakeNvml
from tracker.load.nvml import NvmlReading, open_gpu
from tracker.load.telemetry import Sampler, TelemetrySample, energy_used, sample_lines, summarise

READING = NvmlReading(
    utilization=0.8,
    memory_used=10,
    power=200.0,
    sm_clock=1.98e9,
    memory_clock=2.6e9,
    temperature=50.0,
    throttle=(),
)
UNKNOWN = NvmlReading(None, None, None, None, None, None, None)


def test_readings_are_in_base_units():
    reading = open_gpu("GPU-1", FakeNvml(reasons=0x4 | 0x20)).read()
    assert reading.power == 300.0
    assert reading.utilization == 0.87
    assert reading.sm_clock == 1.98e9
    assert reading.memory_clock == 2.619e9
    assert reading.memory_used == 5 * 2**30
    assert reading.temperature == 55
    assert reading.throttle == ("sw_power_cap", "sw_thermal_slowdown")


def test_gpu_idle_is_no_throttling():
    assert open_gpu("GPU-1", FakeNvml(reasons=0x1)).read().throttle == ()


@pytest.mark.parametrize(
    ("dial", "attribute"),
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
def test_what_the_device_does_not_tell_is_none(dial, attribute):
    reading = open_gpu("GPU-1", FakeNvml(**{dial: None})).read()
    assert getattr(reading, attribute) is None
    assert reading != UNKNOWN


def test_no_driver_or_no_such_device_is_no_gpu_and_leaves_nvml_closed():
    assert open_gpu("GPU-1", FakeNvml(uuid=None)) is None
    other = FakeNvml(uuid="GPU-2")
    assert open_gpu("GPU-1", other) is None
    assert other.open == 0


def test_names_and_closing():
    nvml = FakeNvml()
    gpu = open_gpu("GPU-1", nvml)
    assert (gpu.model(), gpu.driver()) == ("NVIDIA Fake", "580.1")
    assert gpu.clocks_policy() == "sm 1980 MHz, mem 2619 MHz"
    gpu.close()
    assert nvml.open == 0


def test_the_sampler_looks_while_inside_and_stops():
    nvml = FakeNvml()
    with Sampler(open_gpu("GPU-1", nvml), interval=0.001) as sampler:
        while len(sampler.samples) < 3:
            pass
        nvml.dials["energy"] += 4000
    taken = len(sampler.samples)
    assert sampler.joules == 4.0
    assert not sampler._thread.is_alive()
    assert len(sampler.samples) == taken


def test_without_a_gpu_there_are_no_samples_and_no_summary():
    with Sampler(None) as sampler:
        pass
    assert sampler.samples == []
    assert sampler.joules is None
    assert summarise(sampler.samples, sampler.joules) is None


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
        ([TelemetrySample(0.0, UNKNOWN)] * 99, 5.0, "no power samples"),
    ],
)
def test_energy_that_cannot_be_trusted_says_why(samples, joules, why):
    assert why in energy_used(samples, joules)[1]


def test_no_energy_counter_is_none():
    assert energy_used(steady(6.0), None)[0] is None


def test_a_summary_takes_means_and_extremes_of_what_was_known():
    hot = replace(READING, sm_clock=1.5e9, temperature=80.0, throttle=("sw_power_cap",))
    got = summarise(
        [TelemetrySample(0.0, READING), TelemetrySample(0.5, UNKNOWN), TelemetrySample(1.0, hot)],
        None,
    )
    assert got["window"] == 1.0
    assert got["sm_clock_min"] == 1.5e9
    assert got["sm_clock_mean"] == pytest.approx(1.74e9)
    assert got["temperature_max"] == 80.0
    assert got["throttle_reasons"] == ["sw_power_cap"]
    assert got["energy"] is None
    assert got["energy_valid"] is None


def test_a_summary_of_nothing_known_is_none_and_never_zero():
    got = summarise([TelemetrySample(0.0, UNKNOWN), TelemetrySample(1.0, UNKNOWN)], None)
    known = {k: v for k, v in got.items() if v is not None}
    assert known.keys() == {"source", "window", "samples", "energy_problem"}


def test_lines_count_from_the_launch():
    line = sample_lines([TelemetrySample(12.5, READING)], 10.0)[0]
    assert (line["record"], line["time"], line["power"]) == ("telemetry", 2.5, 200.0)
