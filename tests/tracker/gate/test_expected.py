"""What the gate makes of intended changes."""

import pytest

from tests.tracker.gate.fakes import BASE, HEAD, Lab, Notes
from tracker.domain import Expectation
from tracker.gate.assembly import make_report
from tracker.gate.policy import Policy
from tracker.gate.session import Session

TTFT, RATE, STEPS = "suite.A.track_ttft", "suite.A.track_rate", "suite.A.track_steps"


def gate(lab, *expectations, policy=None):
    policy = policy or Policy()
    session = Session(lab, BASE, HEAD, policy, listener=Notes(), expectations=expectations)
    session.run()
    report = make_report(
        session.judge, session.course, project="toy", machine="m", base=BASE, head=HEAD
    )
    return report, {row.metric: row for row in report.rows}


@pytest.mark.parametrize(
    ("metric", "name", "effect"),
    [(TTFT, "ttft", 0.08), (RATE, "rate", -0.08), (STEPS, "steps", 0.075)],
)
def test_as_expected_is_a_pass_and_says_so(metric, name, effect):
    report, rows = gate(Lab(effect={metric: effect}), Expectation(name, effect, "it is right"))
    row = rows[metric]
    assert (report.exit_code, row.outcome) == (0, "pass")
    assert row.effect == pytest.approx(effect, abs=0.005)
    assert "because it is right" in row.reason and row.expected == effect
    if metric != STEPS:
        assert row.low < effect < row.high


@pytest.mark.parametrize(
    ("metric", "name", "effect", "expected"),
    [(TTFT, "ttft", 0.15, 0.06), (RATE, "rate", -0.15, -0.06), (STEPS, "steps", 0.1, 0.05)],
)
def test_worse_than_expected_is_a_regression(metric, name, effect, expected):
    report, rows = gate(Lab(effect={metric: effect}), Expectation(name, expected, "x"))
    assert (report.exit_code, rows[metric].outcome) == (1, "regression")
    assert rows[metric].reason.startswith("worse than expected")
    assert rows[metric].effect == pytest.approx(effect, abs=0.01)


@pytest.mark.parametrize(("metric", "name", "sign"), [(TTFT, "ttft", 1), (RATE, "rate", -1)])
def test_a_change_that_did_not_come_is_told(metric, name, sign):
    report, rows = gate(Lab(noise=0.001), Expectation(name, sign * 0.08, "x"))
    assert (report.exit_code, rows[metric].outcome) == (0, "pass")
    assert rows[metric].reason.startswith(("not worse at all", "better than expected"))
    assert rows[metric].effect == pytest.approx(0, abs=0.002)


def test_an_expected_improvement_excuses_nothing_and_asks_for_nothing():
    report, rows = gate(Lab(), Expectation("ttft", -0.1, "faster"))
    assert (report.exit_code, rows[TTFT].outcome) == (0, "pass")
    assert "expected -10.00% because faster" in rows[TTFT].reason
    report, rows = gate(Lab(effect={TTFT: 0.08}), Expectation("ttft", -0.1, "faster"))
    assert (report.exit_code, rows[TTFT].outcome) == (1, "regression")


def test_other_metrics_are_judged_as_ever():
    report, rows = gate(Lab(effect={RATE: -0.08}), Expectation("ttft", 0.06, "x"))
    assert (report.exit_code, rows[RATE].outcome) == (1, "regression")


def test_an_expectation_of_nothing_here_is_a_warning():
    report, _ = gate(Lab(), Expectation("tfft", 0.06, "x"))
    assert report.exit_code == 0
    assert any("no metric 'tfft'; did you mean 'ttft'?" in one for one in report.warnings)
