"""One report of several environments."""

from dataclasses import replace

from tests.tracker.report.reports import REPORTS
from tracker.report.environments import merged


def test_facts_that_differ_carry_the_name_of_their_environment():
    good, bad = REPORTS["gate-pass"], REPORTS["gate-regression"]
    good = replace(good, environment=(("os", "Linux"), ("python", "3.11")))
    bad = replace(bad, environment=(("os", "Linux"), ("python", "3.12")))
    both = merged({"a": good, "b": bad})
    assert both.environment == (("os", "Linux"), ("python [a]", "3.11"), ("python [b]", "3.12"))
    assert both.exit_code == 1
    assert len(both.rows) == len(good.rows) + len(bad.rows)
    assert both.rows[0].metric.endswith(" [a]") and both.rows[-1].metric.endswith(" [b]")
