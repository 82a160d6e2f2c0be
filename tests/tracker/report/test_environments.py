from dataclasses import replace

from tests.tracker.report.reports import full_report
from tracker.report.environments import merged


def test_the_worst_environment_decides_and_metrics_say_which_is_theirs():
    good = replace(full_report(), outcome="pass", rows=(), invalid=())
    bad = full_report(outcome="regression")
    both = merged({"py3.11": good, "py3.12": bad})
    assert (both.outcome, both.exit_code) == ("regression", 1)
    assert {row.metric for row in both.rows} == {f"{row.metric} [py3.12]" for row in bad.rows}
    assert both.pairs == good.pairs + bad.pairs and both.alpha == good.alpha + bad.alpha
    assert merged({"": good}) is good
