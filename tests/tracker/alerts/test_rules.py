"""Which findings become alerts."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.tracker.alerts.samples import change, findings, gate, verdict
from tests.tracker.changepoints.histories import revision
from tracker.alerts import AlertsConfig, gate_alert, new_alerts
from tracker.domain import Expectation
from tracker.gate.course import Course
from tracker.report import Missing
from tracker.triage import alert_key


def commits(alerts):
    return [int(alert.commit[:12], 16) for alert in alerts]


def test_an_old_drift_that_goes_on_is_news():
    old = findings(change(3, 0.5, drift_commits=200))
    (alert,) = new_alerts(old, [], newest=revision(3).committed_at + timedelta(days=300))
    assert "drift over 200 commits, +25.00% per 100 commits" in alert.detail


def test_one_alert_for_a_commit_however_many_series():
    found = findings(change(3, 0.12), change(3, 0.30, benchmark="b"), change(5, 0.2))
    (first, second) = new_alerts(found, [])
    assert commits([first, second]) == [3, 5]
    assert first.num_series == 2
    assert first.worst_effect == pytest.approx(0.30)
    assert first.title == "000000000003 is worse on gpu-1: 2 series, most b +30.00%"
    assert "bench.Chat.track_ttft: +12.00% (1 s -> 1.120 s)" in first.detail
    assert "Commit 3" in first.detail


def test_machine_classes_alert_apart():
    found = findings(change(3, 0.2), change(3, 0.2, machine="gpu-2"))
    assert {alert.key for alert in new_alerts(found, [])} == {
        alert_key("engine", revision(3).commit, "gpu-1"),
        alert_key("engine", revision(3).commit, "gpu-2"),
    }


def test_the_same_commit_never_alerts_twice():
    found = findings(change(3, 0.2), change(5, 0.2))
    (first, second) = new_alerts(found, [])
    assert new_alerts(found, [first.key, second.key]) == []
    assert new_alerts([*found, *found], []) == [first, second]
    grown = findings(change(3, 0.9), change(3, 0.9, benchmark="new"), change(5, 0.2))
    assert new_alerts(grown, [first.key]) == [second]


def test_better_and_unknown_do_not_alert():
    found = findings(change(3, -0.5, worse=False), change(4, 0.5, worse=None))
    assert new_alerts(found, []) == []


def test_only_what_is_worse_is_counted():
    found = findings(change(3, 0.2), change(3, -0.5, worse=False, benchmark="c"))
    assert new_alerts(found, [])[0].num_series == 1


def test_what_recovered_does_not_alert():
    assert new_alerts(findings(change(3, 0.5, recovered=True)), []) == []


def judged(one, confirmation):
    shift = replace(one.shift, previous=revision(2))
    return replace(one, shift=shift, confirmation=confirmation)


@pytest.mark.parametrize("said", [None, "inconclusive", "confirmed"])
def test_what_a_paired_run_did_not_refute_alerts(said):
    (alert,) = new_alerts(findings(judged(change(3, 0.12), said)), [])
    assert ("confirmed by a paired run against 000000000002" in alert.detail) == (
        said == "confirmed"
    )


def test_what_a_paired_run_refuted_does_not_alert():
    refuted = judged(change(3, 0.3), "refuted")
    assert new_alerts(findings(refuted), []) == []
    (alert,) = new_alerts(findings(refuted, change(3, 0.12, benchmark="unjudged")), [])
    assert (alert.num_series, alert.worst_effect) == (1, pytest.approx(0.12))
    assert "a paired run" not in alert.detail


def test_a_better_series_that_is_confirmed_confirms_no_regression():
    better = judged(change(3, -0.2, worse=False, benchmark="b"), "confirmed")
    (alert,) = new_alerts(findings(better, change(3, 0.12)), [])
    assert "confirmed" not in alert.detail


def test_significant_is_not_relevant():
    found = findings(change(3, 0.004))
    assert new_alerts(found, []) == []
    assert commits(new_alerts(found, [], AlertsConfig(min_effect=0.001))) == [3]


def test_an_exact_metric_alerts_however_small_the_change():
    assert commits(new_alerts(findings(change(3, 0.004, kind="exact")), [])) == [3]


def test_imported_history_is_not_news():
    found = findings(change(3, 0.2), change(90, 0.2))
    newest = revision(100).committed_at
    assert commits(new_alerts(found, [], newest=newest)) == [90]
    assert commits(new_alerts(found, [], newest=revision(3).committed_at)) == [3, 90]
    edge = revision(3).committed_at + timedelta(days=30)
    assert commits(new_alerts(found, [], newest=edge)) == [3, 90]


@pytest.mark.parametrize(
    ("expected", "number", "alerts"),
    [(0.12, 3, []), (0.125, 3, []), (0.05, 3, [3]), (-0.1, 3, [3]), (0.12, 4, [3])],
)
def test_what_was_expected_of_the_commit_is_no_news(expected, number, alerts):
    found = findings(change(3, 0.12))
    intended = [Expectation("ttft", expected, "it is right", revision(number).commit)]
    assert commits(new_alerts(found, [], expectations=intended)) == alerts


def test_another_metric_of_that_commit_still_alerts():
    found = findings(change(3, 0.12), change(3, 0.2, benchmark="bench.Chat.track_e2e"))
    intended = [Expectation("ttft", 0.12, "it is right", revision(3).commit)]
    (alert,) = new_alerts(found, [], expectations=intended)
    assert alert.num_series == 1 and "track_e2e" in alert.title


def test_a_rise_from_zero_has_no_ratio():
    (alert,) = new_alerts(findings(change(3, float("inf"), kind="exact")), [])
    assert alert.worst_effect is None
    assert alert.title.endswith("from 0")


def test_a_long_detail_is_cut_and_counted():
    found = findings(*(change(3, 0.2, benchmark=f"b{n}") for n in range(50)))
    (alert,) = new_alerts(found, [])
    assert len(alert.detail.splitlines()) == 21
    assert alert.detail.endswith("and 31 more")


def test_a_gate_alerts_on_its_regressions_only():
    alert = gate_alert(
        gate(
            verdict("a", "regression", 0.05),
            verdict("b", "regression", 0.1),
            verdict("c", "pass", 0),
        )
    )
    assert alert.num_series == 2
    assert alert.worst_effect == pytest.approx(0.1)
    assert alert.title == "000000000003 is worse on gpu-1: 2 metrics, most b +10.00%"
    assert "b: +10.00% [+9.00%, +11.00%] (1 s -> 1.100 s)" in alert.detail
    assert "6 pairs of launches" in alert.detail


def broken(*metrics, reason="RuntimeError: no device code"):
    missing = [Missing(metric, "head", reason, fails=True) for metric in metrics]
    return {"recorded": "broken", "course": Course(missing=missing).as_dict()}


def test_a_gate_alerts_on_what_its_head_breaks():
    alert = gate_alert(gate(**broken("a", "b")))
    assert alert.title == (
        "000000000003 breaks 2 metrics on gpu-1: a, b fail in HEAD: RuntimeError: no device code"
    )
    assert (alert.num_series, alert.worst_effect) == (2, None)
    both = gate_alert(gate(verdict("c", "regression", 0.1), **broken("a")))
    assert both.key == alert.key and "c: +10.00%" in both.detail and both.num_series == 2
    unvoted = Course(missing=[Missing("a", "head", "it broke")]).as_dict()
    assert gate_alert(gate(exit_code=0, course=unvoted)) is None


def test_a_gate_on_a_metric_that_left_zero_says_so():
    alert = gate_alert(gate(replace(verdict("a", "regression", 0.0), effect=None, base=0.0)))
    assert alert.title.endswith("most a from 0")
    assert alert.worst_effect is None


@pytest.mark.parametrize("status", ["pass", "improvement", "inconclusive"])
def test_a_gate_without_a_regression_does_not_alert(status):
    assert gate_alert(gate(verdict("a", status, 0.5), exit_code=3)) is None


@pytest.mark.parametrize("exit_code", [0, 3, 4, None])
def test_a_gate_that_did_not_block_does_not_alert(exit_code):
    assert gate_alert(gate(verdict("a", "regression", 0.5), exit_code=exit_code)) is None


def test_a_gate_and_its_change_point_are_the_same_alert():
    assert (
        gate_alert(gate(verdict("a", "regression", 0.1))).key
        == new_alerts(findings(change(3, 0.1)), [])[0].key
    )
