"""One launch in frames and charts: what is unknown stays away."""

import pytest

from dashboard import charts
from dashboard.palette import LIGHT
from dashboard.utilization import (
    PANELS,
    facts_of,
    kernels_of,
    panel_frame,
    phase_frame,
    request_frame,
    roofline_frame,
    tiers_of,
    warnings_of,
    window_of,
)
from tests.dashboard.launches import DEVICE, cpu_header, gpu_launch
from tracker.domain import LaunchTrace, RequestTimes

REQUESTS = (
    RequestTimes(0.0, (1.0, 2.0, 3.0)),
    RequestTimes(0.5, (2.0, 2.5)),
    RequestTimes(1.0, (), chunk_times=(4.0,), num_tokens=9, streamed=False),
)


def trace_of(made):
    telemetry = tuple(line for line in made.lines if line["record"] == "telemetry")
    return LaunchTrace(REQUESTS, telemetry)


def test_requests_have_a_phase_before_and_after_the_first_token():
    frame = request_frame(LaunchTrace(REQUESTS))
    assert frame[["request", "phase", "start", "stop"]].values.tolist() == [
        [1, "first token", 0.0, 1.0],
        [1, "output", 1.0, 3.0],
        [2, "first token", 0.5, 2.0],
        [2, "output", 2.0, 2.5],
        [3, "whole reply", 1.0, 4.0],
    ]
    counted = phase_frame(LaunchTrace(REQUESTS), steps=3)  # at 0, 1, 2 and 3 seconds
    by_phase = {name: list(part["requests"]) for name, part in counted.groupby("phase")}
    assert by_phase == {"first token": [1, 1, 0, 0], "output": [0, 1, 2, 0]}
    assert phase_frame(LaunchTrace(REQUESTS[2:])).empty


def test_a_line_that_the_device_never_told_is_absent_and_a_gap_breaks_a_line():
    samples = (
        {"time": 0.0, "power": 300.0, "sm_active": None, "utilization": 0.5},
        {"time": 0.1, "power": None, "sm_active": None, "utilization": 0.0},
        {"time": 0.2, "power": 310.0, "sm_active": None, "utilization": 1.0},
    )
    trace = LaunchTrace((), samples)
    activity, power = (panel_frame(trace, panel) for panel in PANELS[:2])
    assert set(activity["line"]) == {"Any kernel running"}
    assert list(activity["value"]) == [50.0, 0.0, 100.0]  # a measured zero is a zero
    assert list(power["value"].isna()) == [False, True, False]
    assert panel_frame(trace, PANELS[2]).empty


def test_a_launch_on_a_gpu_names_its_tiers_and_facts():
    made = gpu_launch()
    header, trace = made.facts, trace_of(made)
    assert tiers_of(header) == ["hardware counters (GPM)", "NVML samples", "analytic"]
    names = [name for name, _, _ in facts_of(header)]
    assert {"SM active", "Energy per token", "Power", "SM clock", "Temperature"} <= set(names)
    assert window_of({}, trace) == (0.0, 4.0)
    window = window_of(header, trace)
    for panel in PANELS[:4]:
        frame = panel_frame(trace, panel)
        chart = charts.panel_chart(frame, panel, window, LIGHT, last=True).to_dict()
        assert chart["layer"][0]["encoding"]["x"]["scale"]["domain"] == list(window)


def test_a_cpu_shows_what_is_analytic_and_no_zero_for_the_rest():
    made = gpu_launch()
    header = cpu_header(made.facts)
    assert tiers_of(header) == ["analytic"]
    facts = {name: value for name, value, _ in facts_of(header)}
    assert facts == {
        "MBU, decode": "31 %",
        "MFU, prefill": "42 %",
        "Processor time": "97 %",
    }
    assert facts_of({}) == tiers_of({}) == warnings_of({}) == []


def test_phases_and_kernels_stand_under_the_roof():
    kernels = kernels_of(
        [
            {"kernels": [{"name": "linear", "seconds": 1e-4, "bytes": 2e8, "flops": 1e9}]},
            {"kernels": [{"name": "linear", "seconds": 9.0, "bytes": 2e8, "flops": 1e9}]},  # older
            {"kernels": [{"name": "copy", "seconds": 1e-4, "bytes": 2e8, "flops": 0}, "damaged"]},
            {"kernels": None},
        ]
    )
    assert kernels == {"linear": (1e-4, 2e8, 1e9)}
    frame, ceiling = roofline_frame(gpu_launch().facts, kernels)
    assert ceiling == {"bandwidth": DEVICE.bandwidth, "flops": DEVICE.flops}
    prefill, decode, linear = frame.to_dict("records")
    assert [row["what"] for row in (prefill, decode, linear)] == ["prefill", "decode", "kernel"]
    assert (linear["name"], linear["intensity"], linear["rate"]) == ("linear", 5.0, 1e13)
    assert decode["intensity"] < ceiling["flops"] / ceiling["bandwidth"] < prefill["intensity"]
    for row in (prefill, decode, linear):
        assert row["rate"] < min(ceiling["flops"], row["intensity"] * ceiling["bandwidth"])
    assert prefill["MFU"] == "46.0%"
    charts.roofline_chart(frame, ceiling, LIGHT).to_dict()


@pytest.mark.parametrize("missing", ["counters", "utilization"])
def test_without_counts_or_ceilings_there_is_no_roofline(missing):
    header = {name: fact for name, fact in gpu_launch().facts.items() if name != missing}
    frame, ceiling = roofline_frame(header, {})
    assert frame.empty and not ceiling


def test_throttling_and_an_energy_that_does_not_hold_are_said():
    gpu = {"throttled_share": {"hw_slowdown": 0.25}, "energy_problem": "too short", "tier": "nvml"}
    said = [
        "GPU 0: clocks held down by hw_slowdown in 25% of the samples",
        "GPU 0: no valid energy: too short",
    ]
    # The second is how a launch described its GPU before there could be several.
    for telemetry in ({"gpus": [gpu]}, gpu):
        assert warnings_of({"telemetry": telemetry}) == said
        assert tiers_of({"telemetry": telemetry}) == ["NVML samples"]


def test_every_gpu_has_its_lines_and_a_mean_stands_in_the_middle_of_its_span():
    samples = (
        {"gpu": "a", "time": 1.0, "power": 300.0},
        {"gpu": "b", "time": 1.0, "power": 310.0},
        {"gpu": "a", "time": 1.5, "span": 0.5, "sm_active": 0.5},
    )
    activity, power = (panel_frame(LaunchTrace((), samples), panel) for panel in PANELS[:2])
    assert list(power["line"]) == ["power, GPU 0", "power, GPU 1"]
    (row,) = activity.to_dict("records")
    assert row == {"time": 1.25, "line": "SM active, GPU 0", "value": 50.0}
