"""Latencies of single requests, and places beside each other."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from dashboard import charts
from dashboard.arms import Arm, arms_frame, arms_table, places_of
from dashboard.distributions import (
    latencies,
    position_frame,
    quantile_frame,
    tail_frame,
)
from dashboard.palette import LIGHT
from tests.dashboard.values import series
from tracker.domain import RequestTimes

REQUESTS = [
    RequestTimes(0.0, (0.1, 0.2, 0.4)),
    RequestTimes(1.0, (1.3, 1.4, 1.6)),
    RequestTimes(2.0, (), chunk_times=(9.0,), num_tokens=3, streamed=False),
]


def test_latencies_are_those_of_streamed_requests():
    assert latencies(REQUESTS, "TTFT") == pytest.approx([0.1, 0.3])
    assert latencies(REQUESTS, "ITL") == pytest.approx([0.1, 0.2, 0.1, 0.2])


def test_the_tail_reaches_from_all_to_one_of_them():
    values = [place / 1000 for place in range(1, 1001)]
    frame = tail_frame({"base": values, "head": []})
    assert frame["slower"].iloc[0] == 1.0
    assert frame["slower"].iloc[-1] == pytest.approx(0.001)
    assert frame["value"].iloc[-1] == pytest.approx(1000)
    assert frame["unit"].unique() == ["ms"]
    half = frame[frame["slower"] <= 0.5].iloc[0]["value"]
    assert half == pytest.approx(500, rel=0.03)
    charts.tail_chart(frame, LIGHT, title="TTFT").to_dict()
    assert tail_frame({"base": []}).empty


def test_a_quantile_that_too_few_values_cannot_tell_is_absent():
    (row,) = quantile_frame({"TTFT": {"base": [0.1] * 50}}).to_dict("records")
    assert (row["values"], row["p95"], row["p99"], row["max"]) == (50, "100 ms", "–", "100 ms")


def test_the_time_between_tokens_stands_at_the_position_of_the_later_one():
    frame = position_frame({"base": REQUESTS})
    assert list(frame["position"]) == [2, 3]
    assert list(frame["value"]) == pytest.approx([100.0, 200.0])
    charts.position_chart(frame, LIGHT).to_dict()


def metric(name, key, value, **more):
    measured = series(name, key=key, last_value=value, **more)
    return replace(measured, last_measured=datetime(2026, 1, key % 28 + 1, tzinfo=UTC))


def arm(place):
    values = {name: one.last_value for name, one in place.series.items()}
    return Arm(place.name, place, values)


def test_engines_are_matched_by_the_metrics_name_and_unit():
    ours = [
        metric("bench_serving.Chat.track_ttft_p50", 1, 0.2),
        metric("bench_serving.Chat.track_throughput", 2, 100.0, unit="tokens/s", better="higher"),
        metric("bench_serving.Chat.track_steps", 3, 9.0, unit="steps"),
    ]
    theirs = [
        replace(metric("vllm-bench-serve.ttft_p50", 7, 0.1, params=("rate=4",)), project="vllm"),
        replace(metric("vllm-bench-serve.steps", 8, 0.5, params=("rate=4",), unit="s"), project="vllm"),
    ]  # fmt: skip
    first, second = (arm(place) for place in places_of([*theirs, *ours]))
    assert first.place.key == "1"
    assert second.name == "vllm · vllm-bench-serve · rate=4 · runner-a · existing"
    (row,) = arms_frame([first, second]).to_dict("records")  # steps has another unit there
    assert (row["metric"], round(row["percent"]), row["change"]) == ("ttft_p50", 50, "−50.0 %")
    table = arms_table([first, second])
    assert set(table["metric"]) == {"ttft_p50", "steps"}
    charts.arms_chart(arms_frame([first, second]), LIGHT, first=first.name).to_dict()


def test_of_several_versions_the_one_measured_last_counts():
    old, new = metric("a.B.track_x", 5, 1.0), metric("a.B.track_x", 9, 2.0, version="2")
    (place,) = places_of([new, old])
    assert place.series["x"].id == 9
