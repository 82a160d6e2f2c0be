"""The judge alone: pairs in, verdicts out."""

import itertools

import pytest

from tests.tracker.gate.test_stored import noisy_pairs
from tracker.domain import BenchmarkInfo
from tracker.gate.assembly import make_report
from tracker.gate.course import Course
from tracker.gate.judge import Judge, Pair
from tracker.gate.policy import Policy
from tracker.report import render


def info(name, kind="timing", better="lower"):
    return BenchmarkInfo(name, "1", "track", "s", better, kind)


def judge_of(metrics, policy=None, **kinds):
    """Give the judge the pairs of each metric, (base, head) or None where a pair has none."""
    judge = Judge(policy or Policy())
    benchmarks = {name: info(name, **kinds.get(name, {})) for name in metrics}
    for points in itertools.zip_longest(*metrics.values()):
        both = {name: point for name, point in zip(metrics, points, strict=True) if point}
        base, head = (
            {name: point[arm] for name, point in both.items() if point[arm] is not None}
            for arm in (0, 1)
        )
        judge.add(Pair(base, head, {}), benchmarks)
    return judge


def report_of(metrics, policy=None, **kinds):
    judge = judge_of(metrics, policy, **kinds)
    report = make_report(judge, Course(), project="p", machine="m", base="b", head="h")
    return report, {row.metric: row for row in report.rows}


def test_pairs_are_judged():
    report, rows = report_of({"a": noisy_pairs(0.1), "b": noisy_pairs(0.0, seed=2)})
    assert {name: row.outcome for name, row in rows.items()} == {"a": "regression", "b": "pass"}
    assert (report.outcome, report.exit_code) == ("regression", 1)


def test_another_policy_may_say_otherwise():
    report, _ = report_of({"a": noisy_pairs(0.1)}, Policy(margin=0.2, detect=0.4))
    assert report.exit_code == 0


def test_a_metric_that_ends_early_stops_no_other():
    decided = noisy_pairs(0.0, count=6)
    undecided = noisy_pairs(0.0, count=6, noise=0.05, seed=4)
    _, rows = report_of({"a": decided, "b": noisy_pairs(0.1, count=12), "c": undecided})
    assert {name: row.outcome for name, row in rows.items()} == {
        "a": "pass", "b": "regression", "c": "inconclusive",
    }  # fmt: skip
    assert (rows["c"].pairs, rows["b"].pairs) == (6, 12)


@pytest.mark.parametrize(
    "kind, values", [("timing", noisy_pairs(0.1, count=10)), ("exact", [(32.0, 33.0)] * 10)]
)
def test_a_metric_skipped_in_the_first_pairs_is_judged_from_its_first_value_on(kind, values):
    quiet = noisy_pairs(0.0, count=12, seed=2)
    report, rows = report_of({"a": [None] * 2 + values, "b": quiet}, a={"kind": kind})
    assert (rows["a"].outcome, rows["a"].pairs) == ("regression", 10)
    assert rows["b"] == report_of({"b": quiet})[1]["b"]
    assert (report.outcome, report.exit_code) == ("regression", 1)


def test_what_both_commits_skip_in_every_pair_is_named():
    report, rows = report_of({"a": [None] * 8, "b": noisy_pairs(0.0, count=8)})
    assert (list(rows), report.skipped, report.outcome) == (["b"], ("a",), "pass")
    for style in ("text", "markdown", "html", "junit"):
        assert "skipped in both commits" in render(report, style)
    assert '"skipped": [\n    "a"' in render(report, "json")


def test_a_pair_that_one_arm_skips_is_left_out_of_that_metric_alone():
    pairs = noisy_pairs(0.1, count=12)
    gaps = [(base, None) if number in (0, 4) else (base, head)
            for number, (base, head) in enumerate(pairs)]  # fmt: skip
    report, rows = report_of({"a": gaps, "b": noisy_pairs(0.0, seed=2)})
    assert (rows["a"].outcome, rows["a"].pairs, rows["b"].pairs) == ("regression", 10, 12)
    assert report.exit_code == 1


def test_what_head_never_gives_is_undecided_by_name_and_no_pass():
    gone = [(base, None) for base, _ in noisy_pairs(0.0)]
    metrics = {"a": gone, "b": noisy_pairs(0.0, seed=2)}
    report, rows = report_of(metrics)
    assert (report.outcome, report.exit_code) == ("inconclusive", 0)
    assert rows["a"].outcome == "inconclusive" and rows["a"].reason.startswith(
        "HEAD gives no value"
    )
    assert "a" in report.headline
    strict, _ = report_of(metrics, Policy(on_inconclusive="block"))
    assert strict.exit_code == 3
    assert "a" not in judge_of(metrics).pending()


def test_what_base_never_gives_has_nothing_to_be_compared_with():
    new = [(None, head) for _, head in noisy_pairs(0.0)]
    report, rows = report_of({"a": new, "b": noisy_pairs(0.0, seed=2)})
    assert (rows["a"].outcome, rows["a"].votes) == ("not judged", False)
    assert "BASE gives no value" in rows["a"].reason
    assert report.outcome == "pass"


@pytest.mark.parametrize(
    ("base", "head", "better", "outcome"),
    [
        (120.0, 0.0, "higher", "regression"),
        (0.0, 3.0, "lower", "regression"),
        (0.0, 3.0, "higher", "improvement"),
        (-1.0, -2.0, "higher", "regression"),
        (-5.0, 5.0, "lower", "regression"),
        (0.0, 0.0, "lower", "pass"),
    ],
)
@pytest.mark.parametrize("kind", ["timing", "exact"])
def test_every_finite_value_is_judged(base, head, better, outcome, kind):
    pairs = [(base, head)] * 12
    _, rows = report_of({"a": pairs}, a={"kind": kind, "better": better})
    assert rows["a"].outcome == outcome


def test_without_a_direction_there_is_no_verdict_and_no_pass():
    report, rows = report_of({"a": noisy_pairs(0.0)}, a={"better": None})
    assert (report.outcome, rows["a"].outcome) == ("invalid", "not judged")


def test_a_change_from_zero_is_shown_as_a_difference():
    report, rows = report_of({"a": [(0.0, 3.0)] * 8})
    assert (rows["a"].effect, rows["a"].difference) == (None, 3.0)
    assert "+3 s" in render(report, "text") and "+3 s" in render(report, "markdown")
