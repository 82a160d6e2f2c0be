"""Grouping under commits, worst first."""

import json

from tests.tracker.changepoints.histories import revision, series
from tracker.domain import LevelShift
from tracker.findings import Analysis, Change, group_by_commit
from tracker.report.findings import findings_document, findings_text


def change(number, before, after, *, worse, recovered=False, **fields):
    info = series(**fields)
    shift = LevelShift(
        series_id=info.id,
        revision=revision(number),
        before=before,
        after=after,
        effect=after / before - 1 if before else float("inf"),
        worse=worse,
        algorithm="test-1",
        recovered=recovered,
    )
    return Change(info, shift)


def analysis(*changes):
    findings = group_by_commit(changes)
    return Analysis(findings, 4, 1, 90, 7, 5, len(changes))


def test_one_finding_for_all_series_of_a_commit_on_a_machine():
    findings = group_by_commit(
        [
            change(3, 1, 1.1, worse=True, benchmark="a"),
            change(3, 1, 1.3, worse=True, benchmark="b"),
            change(3, 1, 0.5, worse=False, benchmark="c"),
            change(3, 1, 1.3, worse=True, benchmark="a", machine="gpu-2"),
            change(4, 1, 1.2, worse=True, benchmark="a"),
        ]
    )
    shape = [(f.machine, f.revision.id, [c.series.benchmark for c in f.changes]) for f in findings]
    assert shape == [("gpu-1", 3, ["b", "a", "c"]), ("gpu-2", 3, ["a"]), ("gpu-1", 4, ["a"])]


def test_worst_first_then_unknown_then_better():
    findings = group_by_commit(
        [
            change(1, 1, 9.0, worse=False),
            change(2, 1, 8.0, worse=None),
            change(3, 1, 1.1, worse=True),
            change(4, 1, 0.5, worse=True, better="higher"),  # a halving outranks +90 %
            change(5, 1, 1.9, worse=True),
            change(6, 0, 1.0, worse=True),
        ]
    )
    assert [finding.revision.id for finding in findings] == [6, 4, 5, 3, 2, 1]
    assert [finding.direction for finding in findings] == ["worse"] * 4 + ["unknown", "better"]


def test_the_document_is_json_without_bare_infinity():
    document = findings_document(analysis(change(6, 0, 1.0, worse=True, params=("1", "'a'"))))
    parsed = json.loads(json.dumps(document, allow_nan=False))
    assert parsed["format"] == 1
    (finding,) = parsed["findings"]
    assert (finding["direction"], finding["num_series"]) == ("worse", 1)
    assert finding["changes"][0]["effect"] is None
    assert finding["changes"][0]["params"] == ["1", "'a'"]


def test_the_text_names_commit_direction_series_and_effect():
    text = findings_text(
        analysis(
            change(3, 1, 1.125, worse=True, params=("4",)),
            change(3, 1, 0.5, worse=False, benchmark="bench.track_[red]x"),
            change(5, 1, 1.2, worse=True, recovered=True),
        )
    ).plain
    assert "3 level shifts at 2 commits" in text
    assert "7 failed or skipped results left out" in text
    assert "1 series without a value" in text
    assert "2 new segments where the environment changed" in text
    assert "000000000003  2026-01-04  engine on gpu-1  Commit 3" in text
    assert "+12.50%  bench.Chat.track_ttft(4)  1 s -> 1.125 s" in text
    assert "-50.00%  bench.track_[red]x" in text
    assert "(recovered)" in text
    assert text.index("+20.00%") < text.index("+12.50%")


def test_the_text_counts_what_it_does_not_print():
    many = [change(3, 1, 1.2, worse=True, benchmark=f"b{n:02}") for n in range(14)]
    text = findings_text(analysis(*many)).plain
    assert "14 series" in text
    assert "and 4 more" in text
    assert "b10" not in text
