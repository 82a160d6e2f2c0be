import random

from tracker.domain import PairedValues, SeriesInfo
from tracker.gate.judge import make_report
from tracker.gate.policy import Policy
from tracker.gate.stored import judge_stored


def stored(name, pairs=(), base=(), head=(), better="lower", kind="timing"):
    series = SeriesInfo(
        id=1, project="p", benchmark=name, version="1", unit="s", better=better, kind=kind,
        params=(), param_names=(), machine="m", environment="existing", num_points=2,
    )  # fmt: skip
    return {name: PairedValues(series, tuple(pairs), tuple(base), tuple(head))}


def noisy_pairs(effect, count=12, noise=0.003, seed=1):
    draw = random.Random(seed)
    return [
        (1 + draw.gauss(0, noise), (1 + effect) * (1 + draw.gauss(0, noise))) for _ in range(count)
    ]


def report_of(values, policy=None):
    policy = policy or Policy()
    return make_report(
        judge_stored(values, policy), policy, project="p", machine="m", base="b", head="h"
    )


def test_stored_pairs_are_judged_like_measured_ones():
    report = report_of(stored("a", noisy_pairs(0.1)) | stored("b", noisy_pairs(0.0, seed=2)))
    assert {row.metric: row.outcome for row in report.rows} == {"a": "regression", "b": "pass"}
    assert report.exit_code == 1


def test_another_policy_may_say_otherwise():
    report = report_of(stored("a", noisy_pairs(0.1)), Policy(margin=0.2, detect=0.4))
    assert report.exit_code == 0


def test_what_was_not_interleaved_gets_no_verdict():
    report = report_of(stored("a", base=[1.0] * 9, head=[2.0] * 9))
    assert report.exit_code == 4 and report.rows == ()
    assert "never in interleaved pairs" in report.warnings[0]


def test_a_metric_decided_early_has_fewer_pairs():
    values = stored("a", noisy_pairs(0.0, count=6)) | stored("b", noisy_pairs(0.1, count=12))
    report = report_of(values)
    assert {row.metric: row.outcome for row in report.rows} == {"a": "pass", "b": "regression"}


def test_an_empty_store_decides_nothing():
    assert report_of({}).exit_code == 4
