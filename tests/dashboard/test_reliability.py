"""Limits from a gate's policy, and what says how far the gate can be trusted."""

import pytest

from dashboard import charts
from dashboard.limits import limit_of
from dashboard.palette import LIGHT
from dashboard.reliability import control_frame, resolution_frame
from tests.dashboard.values import gate, history, series, verdict
from tracker.domain import GateLaunch

LIMITS = {r"ttft": 2.0, r"(tpot|itl)_p50": 0.5}


def test_a_limit_is_the_newest_policys_and_of_a_base_unit_only():
    newest, older = gate(policy={"limits": LIMITS}), gate(policy={"limits": {"": 9.0}})
    ttft = series("a.B.track_ttft_p50")
    assert limit_of(ttft, [gate(policy={}), newest, older]) == 2.0
    assert limit_of(series("a.B.track_throughput"), [newest, older]) is None
    assert limit_of(series("a.B.track_ttft_p50", unit="ms"), [newest]) is None
    assert limit_of(ttft, []) is None


@pytest.mark.parametrize(("values", "drawn"), [([0.2, 0.3], True), ([0.01, 0.012], False)])
def test_a_limit_is_a_line_only_where_the_values_come_near_it(values, drawn):
    shown = charts.history_chart(history(values), LIGHT, limit=0.5).to_dict()
    rules = [
        layer
        for layer in shown["layer"]
        if layer.get("encoding", {}).get("y", {}).get("field") == "limit"
    ]
    assert bool(rules) is drawn
    assert charts.is_near(0.5, history(values)) is drawn


def test_the_newest_gate_tells_the_interval_and_the_newest_that_knows_what_it_could_see():
    newest = gate(verdict(low=-0.01, high=0.03, mde=None), verdict("a.n", kind="exact"))
    older = gate(verdict(low=-0.2, high=0.2, mde=0.05))
    (row,) = resolution_frame([newest, older]).to_dict("records")
    assert (row["interval"], row["could see"]) == ("±2.00 %", "+5.0 %")
    assert resolution_frame([gate(verdict("a.n", kind="exact"))]).empty
    # A pass of few pairs excluded the change that the gate has to see, and called none smaller.
    policy = {"detect": 0.03, "metrics": {"ttft": {"detect": 0.1}}}
    (row,) = resolution_frame([gate(verdict(mde=None), policy=policy)]).to_dict("records")
    assert row["could see"] == "+10.0 %"
    undecided = gate(verdict(status="inconclusive", mde=None), policy=policy)
    assert resolution_frame([undecided])["could see"][0] == "–"


def launch(pair, seconds, benchmark="a.B"):
    control = {"before": {"copy": seconds}, "after": {"copy": seconds}}
    return GateLaunch("g", pair, "base", benchmark, {"control": control})


def test_the_control_is_told_against_its_usual_time_once_a_launch():
    frame = control_frame(
        "m", [launch(0, 1.0), launch(0, 1.0, "a.C"), launch(1, 1.1), launch(2, 1.0)]
    )
    assert [round(value, 3) for value in frame["percent"]] == [0, 10, 0]
    silent = GateLaunch("g", 3, "base", "a.B", {"control": None})
    assert control_frame("m", [silent]).empty
    bad = GateLaunch("g", 3, "base", "a.B", {"control": {"before": {"copy": "x"}}})
    assert control_frame("m", [bad]).empty
