"""What a metric is, by the suite and by the project's rules: the same answer for every reader."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tracker.store.values import file_of, measurement
from tracker.changepoints import analyze
from tracker.domain import BenchmarkInfo
from tracker.gate.policy import Policy
from tracker.gate.policy_file import parse_policy
from tracker.metrics import (
    MetricRule,
    combined,
    described,
    is_worse,
    line_to_state_direction,
    rules_from_text,
    rules_to_text,
)
from tracker.store import Store, queries
from tracker.stored_findings import stored_findings

SUITE = BenchmarkInfo("bench.track_gflops", "1", "track", "unit", None, "other")


def test_the_last_rule_wins_key_by_key():
    rules = (
        MetricRule("gflops", better="lower", unit="GFLOP/s"),
        MetricRule("other", better="lower", step=3.0),
        MetricRule("track", better="higher", margin=0.2),
    )
    rule = combined("bench.track_gflops", rules)
    assert (rule.better, rule.unit, rule.step, rule.margin) == ("higher", "GFLOP/s", None, 0.2)
    answer = described("bench.track_gflops", SUITE, rules)
    assert (answer.better, answer.unit, answer.kind, answer.step) == (
        "higher", "GFLOP/s", "other", 0.0,
    )  # fmt: skip
    assert described("bench.track_gflops", SUITE, ()) is SUITE


@pytest.mark.parametrize(
    ("better", "before", "after", "worse"),
    [
        ("lower", 1.0, 2.0, True),
        ("higher", 1.0, 2.0, False),
        ("higher", 5.0, 0.0, True),
        ("lower", -1.0, -2.0, False),
        ("lower", 1.0, 1.0, None),
        (None, 1.0, 2.0, None),
    ],
)
def test_worse_follows_from_the_direction(better, before, after, worse):
    assert is_worse(better, before, after) is worse


@pytest.mark.parametrize(
    ("unit", "better"),
    [
        ("tokens/s", "higher"),
        ("GB/s", "higher"),
        ("items per second", "higher"),
        ("GFLOPS", "higher"),
        ("seconds", "lower"),
        ("s", "lower"),
        ("unit", "lower"),
        ("", "lower"),
    ],
)
def test_a_unit_suggests_a_direction_and_decides_none(unit, better):
    assert tomllib.loads(line_to_state_direction("m", unit))["gate"]["metrics"][r"^m($|\()"] == {
        "better": better
    }
    assert (
        Policy().metric("m", BenchmarkInfo("m", "1", "track", unit, None, "other")).better is None
    )


@given(metric=st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_the_suggested_line_fits_the_metric_whatever_its_name(metric):
    policy = parse_policy(tomllib.loads(line_to_state_direction(metric, "tokens/s")))
    assert policy.metric(metric, SUITE).better == "higher"


def test_the_store_keeps_what_describes_a_metric_and_no_more():
    rules = (MetricRule("a", better="lower", margin=0.5), MetricRule("b", detect=0.2))
    assert rules_from_text(rules_to_text(rules)) == (MetricRule("a", better="lower"),)
    assert rules_to_text((rules[1],)) is None
    assert rules_from_text(None) == ()


def test_a_changed_rule_changes_every_answer_without_another_ingest(store_url):
    """Direction, unit and kind; series, histories, comparison, overview, findings and gate."""
    with Store.open(store_url) as store:
        for number in range(40):
            value = 900.0 + number % 5 - 400 * (number >= 20)
            results = measurement(value, benchmark="bench.track_gflops", number=number)
            store.record_file("p", file_of(number, results), benchmarks={})
        assert {f.changes[0].direction for f in analyze(store).findings} == {"unknown"}
        (series,) = queries.list_series(store, "p")
        assert (series.better, series.unit) == (None, "unit")

        for better, direction in (("higher", "worse"), ("lower", "better")):
            store.record_metric_rules("p", [MetricRule("gflops", better=better, unit="GFLOP/s")])
            (series,) = queries.list_series(store, "p", unit="GFLOP/s")
            assert (series.better, series.unit) == (better, "GFLOP/s")
            assert queries.get_series(store, series.id) == series
            assert queries.history(store, series.id).shifts[0].worse is (direction == "worse")
            (many,) = queries.histories(store, [series])
            assert many.shifts == queries.history(store, series.id).shifts
            overview = queries.overview(store, "p")
            assert [s.id for s, _ in getattr(overview, direction)] == [series.id]
            # Before the next search and after it.
            assert stored_findings(store, "p")[0].changes[0].direction == direction
            assert analyze(store).findings[0].changes[0].direction == direction
            commits = [point.revision.commit for point in many.points]
            (row,) = queries.compare(store, "p", commits[0], commits[-1])
            assert row.series == series
            (pair,) = queries.paired_values(store, "p", commits[0], commits[-1]).values()
            assert pair.series == series

        store.record_metric_rules("p", [])
        assert queries.get_series(store, series.id).better is None
