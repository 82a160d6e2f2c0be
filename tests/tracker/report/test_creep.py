"""Drifts in words: which way is worse, and how much of the budget is spent."""

import pytest

from tracker.report.creep import Creep, Drift, creep_document, creep_lines


@pytest.mark.parametrize(
    ("better", "effect", "spent"),
    [("lower", 0.05, 1.0), ("lower", -0.05, -1.0), ("higher", -0.05, 1.0526), ("higher", 0.0, 0.0)],
)
def test_worse_spends_the_budget_whichever_way_is_better(better, effect, spent):
    assert Drift("m", better, effect, None, None, 0.05).spent == pytest.approx(spent, abs=1e-3)


def test_an_estimate_beyond_the_budget_that_is_not_certain_says_so():
    (_, line) = creep_lines(
        Creep(
            "v1", "measured", (Drift("m", "lower", 0.06, 0.01, 0.11, 0.05),), "measured in 6 pairs"
        )
    )
    assert line == "  m: +6.00% [+1.00%, +11.00%], perhaps over the budget of 5.00%"


def test_what_is_not_known_says_why():
    assert creep_lines(Creep("v1", "unknown", note="nobody looked")) == [
        "creep since v1: nobody looked"
    ]


def test_no_release_is_null_for_programs():
    assert creep_document(None) is None
