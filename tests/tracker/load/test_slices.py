"""Time slices against loads worked out by hand."""

from __future__ import annotations

import random

import pytest

from tracker.load.records import RequestRecord
from tracker.load.slices import time_slices, trend


def stream(times, **more):
    plain = {"expected_tokens": None, "finish_reason": "length", **more}
    return RequestRecord(0, prompt_tokens=4, submitted=0.0, token_times=tuple(times), **plain)


def test_a_steady_load_has_ten_equal_slices():
    got = time_slices([stream([0.01 * i for i in range(1, 1001)])])
    assert got["trend"] == "stationary"
    assert len(got["slices"]) == 10
    assert [s["throughput"] for s in got["slices"]] == pytest.approx([100.0] * 10, rel=0.02)
    assert got["slices"][0]["start"] == pytest.approx(1.0)
    assert got["slices"][9]["itl_p50"] == pytest.approx(0.01)


def test_a_load_that_slows_down_drifts():
    times = [0.01]
    while len(times) < 1000:
        times.append(times[-1] + 0.01 * (1 + len(times) / 2000))
    assert time_slices([stream(times)])["trend"] == "drifting"


def test_a_failed_request_and_too_few_tokens_say_nothing():
    assert time_slices([stream([0.1 * i for i in range(1, 30)])])["trend"] is None
    assert time_slices([stream([1.0, 2.0], error="boom")]) == {"slices": [], "trend": None}
    assert time_slices([]) == {"slices": [], "trend": None}


def test_noise_is_called_a_drift_no_more_often_than_stated():
    rng = random.Random(7)
    called = sum(
        trend([100 + rng.gauss(0, 20) for _ in range(10)]) == "drifting" for _ in range(2000)
    )
    assert called <= 40  # .0091 of them by chance: 18 expected, standard deviation 4
    assert trend([100 + 0.1 * i for i in range(10)]) == "stationary", "sure, and irrelevant"
    assert trend([100 - 2 * i for i in range(10)]) == "drifting"
