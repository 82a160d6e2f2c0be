"""Sweeps over the load, from any suite or tool that names the load in a parameter."""

from dataclasses import replace

from dashboard import charts
from dashboard.frontier import (
    frontier_frame,
    highest_within,
    limits_text,
    scale_of,
    sweeps,
)
from dashboard.palette import LIGHT
from tests.dashboard.values import comparison, gate

LIMITS = gate(policy={"limits": {"ttft": 2.0, "tpot": 0.5}})
COMMITS = {"base": "base aaaa", "head": "head bbbb"}


def rows(points, *, names=("concurrency",), param=str):
    """Comparison rows of {load: (ttft, tpot, throughput) of base, and of head}."""
    made = []
    for load, sides in points.items():
        for place, (name, unit, better, kind) in enumerate(
            (("ttft_p50", "s", "lower", "timing"), ("tpot_p50", "s", "lower", "timing"),
             ("throughput", "tokens/s", "higher", "rate"))
        ):  # fmt: skip
            base, head = (None if side is None else side[place] for side in sides)
            row = comparison(
                base, head, name=f"s.Sweep.track_{name}", unit=unit, better=better, kind=kind,
                params=(param(load),),
            )  # fmt: skip
            made.append(replace(row, series=replace(row.series, param_names=names)))
    return made


POINTS = {
    1: ((0.1, 0.01, 90.0), (0.1, 0.012, 80.0)),
    16: ((0.5, 0.02, 700.0), (0.6, 0.022, 640.0)),
    64: ((3.0, 0.05, 1100.0), (4.0, 0.06, 1000.0)),
}


def test_a_sweep_is_found_and_the_highest_rate_within_every_limit_is_marked():
    (sweep,) = sweeps(rows(POINTS))
    assert (sweep.axis, list(sweep.points)) == ("concurrency", [1.0, 16.0, 64.0])
    assert sweep.metrics("Latency", "First-token time") == ["tpot_p50", "ttft_p50"]
    # The latency drawn keeps to its limit at 64; the first token does not.
    frame = frontier_frame(sweep, "tpot_p50", "throughput", [LIMITS], COMMITS)
    assert list(frame["load"]) == [1, 16, 64] * 2
    assert list(frame["within"]) == [True, True, False] * 2
    best = highest_within(frame)
    assert list(best["throughput"]) == ["700 tokens/s", "640 tokens/s"]
    assert limits_text(sweep, [LIMITS]) == "tpot_p50 500 ms, ttft_p50 2 s"
    chart = charts.frontier_chart(
        frame, best, LIGHT, axis="concurrency", latency=("tpot_p50", "ms"),
        throughput=("throughput", "tokens/s"), limit=scale_of(sweep, "tpot_p50")(0.5),
    ).to_dict()  # fmt: skip
    assert chart["layer"][-1]["mark"]["shape"] == "diamond"


def test_without_a_limit_nothing_is_within_and_what_was_not_measured_is_left_out():
    (sweep,) = sweeps(rows({**POINTS, 32: (None, (0.7, 0.03, 900.0))}))
    frame = frontier_frame(sweep, "ttft_p50", "throughput", [], COMMITS)
    assert frame["within"].isna().all()
    assert highest_within(frame).empty
    assert list(frame[frame["commit"] == "base aaaa"]["load"]) == [1, 16, 64]
    # A limited metric that is missing at a point leaves it undecided, never within.
    partial = [row for row in rows(POINTS) if "ttft" not in row.series.benchmark]
    lacking = [
        row for row in rows({1: (None, None), 16: (None, None)}) if "ttft" in row.series.metric
    ]
    (sweep,) = sweeps([*partial, *lacking])
    frame = frontier_frame(sweep, "tpot_p50", "throughput", [LIMITS], COMMITS)
    assert frame["within"].tolist()[:3] == [None, None, True]


def test_settings_of_imported_tools_name_themselves_and_a_single_load_is_no_sweep():
    imported = rows(POINTS, names=(), param=lambda load: f"max_concurrency={load}")
    (sweep,) = sweeps(imported)
    assert sweep.axis == "max_concurrency"
    assert sweeps(rows({1: POINTS[1]})) == []
    assert sweeps(rows(POINTS, names=("batch",))) == []


def test_a_sweep_without_latencies_shows_throughput_over_the_load():
    (sweep,) = sweeps([row for row in rows(POINTS) if "throughput" in row.series.benchmark])
    frame = frontier_frame(sweep, None, "throughput", [LIMITS], COMMITS)
    chart = charts.frontier_chart(
        frame, highest_within(frame), LIGHT, axis=sweep.axis, latency=None,
        throughput=("throughput", "tokens/s"), limit=None,
    ).to_dict()  # fmt: skip
    assert chart["layer"][0]["encoding"]["x"]["field"] == "load"
