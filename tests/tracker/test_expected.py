"""Intended changes: their form, whom they mean, when they expire."""

from datetime import UTC, datetime, timedelta

import pytest

from tracker.domain import Expectation
from tracker.errors import UsageError
from tracker.expected import (
    applicable,
    expectation_of,
    nearest,
    parse_change,
    parse_message,
)

TTFT, RATE, STEPS = "suite.A.track_ttft", "suite.A.track_rate", "suite.A.track_steps"
COMMIT = "c" * 40


@pytest.mark.parametrize(
    ("text", "ratio"), [("+6%", 0.06), ("-2.5%", -0.025), ("−10 %", -0.1), ("+250%", 2.5)]
)
def test_a_change_is_a_signed_percentage(text, ratio):
    assert parse_change(text) == pytest.approx(ratio)


@pytest.mark.parametrize("text", ["6%", "+6", "+x%", "", "-100%", "+1e3%"])
def test_what_is_no_change_is_refused_with_the_form(text):
    with pytest.raises(UsageError, match=r"write \+6% or -2.5%|can lose"):
        parse_change(text)


def test_a_message_may_hold_several_lines_and_fold_them():
    message = (
        "Check prompts first\n\nWhy: it is right.\n"
        "Perf-expect: ttft_p50 +6% because prompts are\n  checked first\n"
        "perf-expect: A.track_step(64, 'int8') -1.5% because it shares\n"
        "Signed-off-by: someone\n"
    )
    found, warnings = parse_message(COMMIT, message)
    assert found == [
        Expectation("ttft_p50", 0.06, "prompts are checked first", COMMIT),
        Expectation("A.track_step(64, 'int8')", -0.015, "it shares", COMMIT),
    ]
    assert warnings == []


@pytest.mark.parametrize(
    "line", ["Perf-expect: ttft +6%", "Perf-expect: ttft 6% because x", "Perf-expect:",
             "Perf-expect: +6% because x", "Perf-expect: ttft +6 because x"],
)  # fmt: skip
def test_a_line_that_does_not_parse_is_named(line):
    found, (warning,) = parse_message(COMMIT, f"Subject\n\n{line}\n")
    assert found == []
    assert warning.startswith("commit cccccccc:") and line.strip() in warning


def test_it_expires_by_date_and_by_commit():
    now = datetime(2026, 1, 10, tzinfo=UTC)
    forever, mine, old, other = (
        Expectation("a", 0.1, "x", until=now + timedelta(days=1)),
        Expectation("b", 0.1, "x", commit=COMMIT),
        Expectation("c", 0.1, "x", until=now - timedelta(seconds=1)),
        Expectation("d", 0.1, "x", commit="d" * 40),
    )
    assert applicable([forever, mine, old, other], [COMMIT], now) == [forever, mine]


@pytest.mark.parametrize(
    "name",
    ["ttft", "track_ttft", "A.ttft", "A.track_ttft", "suite.A.ttft", TTFT],
)
def test_a_metric_may_be_named_by_its_end(name):
    assert nearest(name, [TTFT, STEPS]) is None
    assert expectation_of(TTFT, [Expectation(name, 0.1, "x")]).change == 0.1
    assert expectation_of(STEPS, [Expectation(name, 0.1, "x")]) is None


def test_parameters_may_be_left_out_or_given():
    metric = "suite.A.track_step(1.5, 'int8')"
    for name in ("step", "A.step(1.5, 'int8')", metric):
        assert nearest(name, [metric]) is None
    assert nearest("step(2, 'int8')", [metric]) is not None


def test_an_unknown_metric_gets_the_nearest():
    assert nearest("ttff", [TTFT, STEPS]) == "no metric 'ttff'; did you mean 'ttft'?"
    assert nearest("qqqqqqq", [TTFT]) == "no metric 'qqqqqqq'"


def test_two_expectations_of_one_metric_multiply():
    both = [Expectation("ttft", 0.1, "x"), Expectation("A.ttft", 0.1, "y")]
    one = expectation_of(TTFT, both)
    assert one.change == pytest.approx(0.21) and one.because == "x; y"
