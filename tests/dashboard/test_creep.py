"""The creep budget read off histories."""

from dataclasses import replace

import pytest

from dashboard import charts
from dashboard.creep import Since, budget_frame, since_of
from dashboard.palette import LIGHT
from tests.dashboard.values import gate, history, revision, series

BUDGET = gate(policy={"creep_budget": 0.05, "margin": 0.01})


def left(frame):
    return [round(value, 2) for value in frame["left"]]


def test_a_slow_drift_burns_the_budget_down_and_beyond():
    slower = history([0.1 * 1.004**place for place in range(30)])
    frame = budget_frame([slower], Since(slower.points[0].revision.commit, None), [BUDGET])
    assert left(frame)[0] == 1.0
    assert left(frame)[-1] < 0 < left(frame)[10]
    assert frame["left"].is_monotonic_decreasing
    charts.budget_chart(frame, LIGHT).to_dict()


def test_faster_leaves_more_and_a_rate_is_slower_when_it_falls():
    rate = series("s.track_throughput", unit="tokens/s", better="higher", kind="rate")
    falls = history([100.0] * 5 + [97.5] * 5, of=rate)
    frame = budget_frame([falls], Since("none of these", None), [BUDGET])
    assert left(frame)[-1] == pytest.approx(0.49, abs=0.02)
    rises = history([100.0] * 5 + [105.0] * 5, of=rate)
    assert left(budget_frame([rises], Since("", None), [BUDGET]))[-1] > 1.9


def test_a_new_driver_is_no_creep_and_what_has_no_budget_or_direction_is_left_out():
    jumps = history([0.1] * 6 + [0.2] * 6, environments=(6,))
    assert set(left(budget_frame([jumps], Since("", None), [BUDGET]))) == {1.0}
    assert budget_frame([jumps], Since("", None), [gate()]).empty
    undirected = history([1.0, 2.0], of=replace(series(), better=None))
    assert budget_frame([undirected], Since("", None), [BUDGET]).empty


def test_the_release_is_the_one_that_the_newest_gate_measured_against():
    against = replace(gate(), id="r", base=revision(7))
    newest = replace(gate(), id="n", course={"creep": ["v1.2", "r"]})
    shown = [history([1.0, 1.0, 1.0])]
    assert since_of([newest, against], shown) == Since(revision(7).commit, "v1.2")
    assert since_of([against], shown) == Since(revision(0).commit, None)
    assert since_of([], []) is None
