"""What people and machines read, letter by letter. UPDATE_GOLDEN=1 writes the files anew."""

import dataclasses
import html
import json
import os
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.tracker.report.reports import REPORTS, full_report
from tracker.report import FORMATS, render

GOLDEN = Path(__file__).parents[2] / "testdata" / "cli"
SUFFIX = {"text": "txt", "markdown": "md", "json": "json", "junit": "xml"}


@pytest.mark.parametrize("form", SUFFIX)
@pytest.mark.parametrize("name", REPORTS)
def test_report(name, form):
    text = render(REPORTS[name], form)
    path = GOLDEN / f"{name}.{SUFFIX[form]}"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", REPORTS)
def test_json_holds_no_nan_and_the_exit_code(name):
    def refuse(token):
        raise AssertionError(f"{token} is not JSON")

    found = json.loads(render(REPORTS[name], "json"), parse_constant=refuse)
    assert found["exit_code"] == REPORTS[name].exit_code
    assert [m["metric"] for m in found["metrics"]] == [row.metric for row in REPORTS[name].rows]


def test_json_of_values_that_json_does_not_have():
    import dataclasses

    rows = [dataclasses.replace(row, effect=float("inf")) for row in full_report().rows]
    found = json.loads(render(full_report(rows=tuple(rows)), "json"))
    assert {m["effect"] for m in found["metrics"]} == {None}


@pytest.mark.parametrize("name", REPORTS)
def test_junit_counts_what_it_holds(name):
    suite = ElementTree.fromstring(render(REPORTS[name], "junit")).find("testsuite")
    cases = suite.findall("testcase")
    assert int(suite.get("tests")) == len(cases) > 0
    for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        assert int(suite.get(attribute)) == len(suite.findall(f"testcase/{tag}"))
    red = int(suite.get("failures")) + int(suite.get("errors"))
    assert bool(red) == (REPORTS[name].exit_code != 0)


def test_what_is_undecided_is_no_pass_though_it_does_not_block():
    report = REPORTS["gate-undecided"]
    said = (
        "INCONCLUSIVE: bench_decode.Step.track_step(64, 'int8') undecided; 3 metrics pass; "
        "this does not block by policy"
    )
    assert (report.headline, report.outcome, report.exit_code) == (said, "inconclusive", 0)
    for form in FORMATS:
        assert "PASS" not in render(report, form)
        text = html.unescape(render(report, form)).replace("\\", "")
        assert "track_step(64, 'int8')" in text and "inconclusive" in text.lower()
    assert json.loads(render(report, "json"))["verdict"] == "inconclusive"
    assert "❔ INCONCLUSIVE" in render(report, "markdown")


def test_junit_survives_what_xml_cannot_say():
    report = full_report(invalid=("bell \x07 and \ud800",), outcome="invalid")
    ElementTree.fromstring(render(report, "junit").encode("utf-8"))


def test_markdown_puts_the_worst_first_and_folds_the_rest():
    text = render(full_report(), "markdown")
    before, after = text.split("<details>")
    assert before.index("ttft_p50") < before.index("track_step(64") < before.index("step(1")
    assert "track_throughput" in after and "track_throughput" not in before


@pytest.mark.parametrize("form", FORMATS)
def test_what_head_breaks_has_its_word_and_its_log_in_every_format(form):
    text = html.unescape(render(REPORTS["gate-broken"], form))
    assert "broken" in text.lower() and "Traceback (most recent call last):" in text
    assert "bench_tp" in text.replace("\\", "") and "needs two GPUs" in text
    infrastructure = html.unescape(render(REPORTS["gate-infrastructure"], form))
    assert "infrastructure" in infrastructure.lower() and "PASS" not in infrastructure


def test_only_what_is_not_a_plain_pass_is_listed_unless_asked_for():
    report = REPORTS["gate-regression"]
    short, long = (render(report, "text", every_metric=each) for each in (False, True))
    assert "track_peak_memory" not in short and "2 metrics unchanged" in short
    assert "track_peak_memory" in long and "unchanged" not in long
    assert all(row.metric in short for row in report.notable)


@pytest.mark.parametrize("form", ["text", "markdown"])
def test_an_undecided_metric_is_listed_only_where_it_has_a_vote(form):
    report = REPORTS["gate-regression"]
    name = "bench_chat.Chat.track_cpu_share"
    one = next(row for row in report.rows if row.outcome == "pass")
    silent = dataclasses.replace(one, metric=name, outcome="inconclusive", votes=False)
    shown = {}
    for votes in (True, False):
        rows = (*report.rows, dataclasses.replace(silent, votes=votes))
        shown[votes] = render(dataclasses.replace(report, rows=rows), form).partition("<details")[0]
    assert name in shown[True].replace("\\", "") and name not in shown[False].replace("\\", "")
    everything = render(dataclasses.replace(report, rows=(*report.rows, silent)), form)
    assert "2 metrics unchanged" in everything and "1 metric without a vote undecided" in everything
