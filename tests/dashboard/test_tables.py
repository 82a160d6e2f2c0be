import math
from dataclasses import replace

import pytest

from dashboard.tables import (
    commit_link,
    compare_frame,
    history_frame,
    history_table,
    level_frame,
    margins_of,
    sort_key,
    verdict_of,
    verdicts_frame,
)
from dashboard.units import Scale
from tests.dashboard.values import comparison, gate, history, revision, series, verdict

MS = Scale(1e-3, "ms")


def test_a_failure_stays_a_gap_and_keeps_its_place():
    frame = history_frame(history([0.010, None, 0.011]), MS)
    assert list(frame["index"]) == [0, 1, 2]
    assert frame["value"][0] == pytest.approx(10)
    assert math.isnan(frame["value"][1])
    assert list(frame["status"]) == ["ok", "failed", "ok"]
    assert list(frame["text"]) == ["10 ms", "–", "11 ms"]


def test_an_infinite_interval_is_unknown():
    frame = history_frame(history([0.01], intervals=[(float("-inf"), float("inf"))]), MS)
    assert math.isnan(frame["low"][0])
    assert frame["interval"][0] == "–"


def test_a_changed_environment_starts_a_segment():
    frame = history_frame(history([1, 1, 1, 1], environments=[2]), MS)
    assert list(frame["segment"]) == [0, 0, 1, 1]


def test_levels_reach_from_shift_to_shift_and_stop_at_a_changed_environment():
    lines, marks = level_frame(
        history([1] * 12, shifts=[(3, 1, 2), (6, 2, 3)], environments=[9]), Scale(1, "s")
    )
    assert lines.to_dict("records") == [
        {"start": -0.5, "stop": 2.5, "level": 1, "end": 1},
        {"start": 2.5, "stop": 5.5, "level": 2, "end": 2},
        {"start": 5.5, "stop": 8.5, "level": 3, "end": 3},
    ]
    assert list(marks["verdict"]) == ["worse", "worse"]
    assert list(marks["effect"]) == ["+100 %", "+50.0 %"]


def test_the_level_before_a_shift_begins_at_the_environment_it_was_measured_in():
    lines, _ = level_frame(
        history([1] * 12, shifts=[(3, 1, 2), (8, 5, 6)], environments=[5]), Scale(1, "s")
    )
    assert [(row["start"], row["stop"]) for row in lines.to_dict("records")] == [
        (-0.5, 2.5),
        (2.5, 4.5),
        (4.5, 7.5),
        (7.5, 11.5),
    ]


@pytest.mark.parametrize("shift", [[], [(3, 1, 2)]], ids=["alone", "after a shift"])
def test_a_drift_is_a_slope_to_its_end_and_no_step(shift):
    drifting = history([1] * 12, shifts=[*shift, (4 if shift else 1, 2, 3)])
    *steps, last = drifting.shifts
    drifting = replace(drifting, shifts=(*steps, replace(last, drift_commits=8)))
    lines, marks = level_frame(drifting, Scale(1, "s"))
    start = 2.5 if shift else -0.5
    drawn = lines.to_dict("records")
    assert drawn[-1] == {"start": start, "stop": 11.5, "level": 2, "end": 3}
    assert len(drawn) == 1 + len(shift)
    mark = marks.to_dict("records")[-1]
    assert (mark["edge"], mark["level"], mark["before"]) == (11.5, 3, 3)
    assert mark["effect"] == "+50.0 % drift"


def test_a_shift_of_an_undirected_metric_is_neither_worse_nor_better():
    _, marks = level_frame(history([1, 2], of=series(better=None), shifts=[(1, 1, 2)]), MS)
    assert list(marks["verdict"]) == ["changed"]


def test_the_table_is_newest_first_and_leaves_empty_columns_out():
    table = history_table(history([0.010, 0.012]), commit_url="https://x/{commit}")
    assert list(table["commit"]) == ["0000000100", "0000000000"]
    assert "low (ms)" not in table
    assert table["link"][0] == f"https://x/{revision(1).commit}"
    assert "link" not in history_table(history([0.01]))


@pytest.mark.parametrize(
    ("effect", "better", "sense"),
    [
        (0.1, "lower", "worse"),
        (-0.1, "lower", "better"),
        (0.1, "higher", "better"),
        (-0.1, "higher", "worse"),
        (0.1, None, "changed"),
        (0.0, "lower", "changed"),
        (None, "lower", "changed"),
    ],
)
def test_the_sense_of_a_change_needs_a_direction(effect, better, sense):
    assert verdict_of(effect, better) == sense


def test_the_worst_comes_first_and_what_cannot_be_judged_last():
    rows = [
        comparison(1.0, 0.5, name="b.better"),
        comparison(1.0, 9.0, name="b.undirected", better=None),
        comparison(1.0, None, name="b.missing"),
        comparison(10.0, 8.0, name="b.slower", better="higher"),
        comparison(1.0, 1.3, name="b.worst"),
        comparison(0.0, 5.0, name="b.from_zero"),
        comparison(1.0, 1.9, name="b.noisy", noise="within", visible=1.5),
        comparison(1.0, 1.1, name="b.once", noise="unknown", visible=None),
    ]
    order = [row.series.benchmark for row in sorted(rows, key=sort_key)]
    assert order == [
        "b.from_zero", "b.worst", "b.slower", "b.better", "b.undirected", "b.noisy", "b.once",
        "b.missing",
    ]  # fmt: skip
    frame = compare_frame(sorted(rows, key=sort_key)).set_index("metric")
    assert frame.loc["from_zero", "change"] == "from zero"
    assert frame.loc["missing", "head"] == "not measured"
    assert frame.loc["undirected", "direction"] == "no stated direction"
    assert frame.loc["noisy", ["noise", "verdict"]].tolist() == ["within (±150.0 %)", "changed"]
    assert frame.loc["once", ["noise", "verdict"]].tolist() == ["unknown", "changed"]
    assert frame.loc["missing", "noise"] == "–"


def test_the_last_rule_that_matches_gives_the_margin():
    policy = {
        "margin": 0.01,
        "metrics": {
            "ttft": {"margin": 0.05},
            "ttft_p99": {"margin": 0.1},
            "ttft_p": {"vote": True},
        },
    }
    names = ("b.ttft_p99", "b.ttft_p50", "b.itl")
    found = margins_of(gate(*(verdict(n) for n in names), policy=policy))
    assert found == {"b.ttft_p99": 0.1, "b.ttft_p50": 0.05, "b.itl": 0.01}
    assert margins_of(gate(verdict(kind="exact"), policy=policy)) == {}
    assert margins_of(gate(verdict())) == {}


def test_a_verdict_without_numbers_shows_none():
    frame = verdicts_frame(gate(verdict(status="inconclusive", effect=None, low=None, mde=None)))
    assert frame.loc[0, ["effect", "interval", "could see", "head"]].tolist() == ["–"] * 4


def test_a_commit_has_a_link_where_the_project_has_a_template():
    assert commit_link("https://x/{commit}", "abc") == "https://x/abc"
    assert commit_link(None, "abc") is None
