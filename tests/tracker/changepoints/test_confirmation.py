"""A shift beside what pairs of the commits before and after it say."""

from dataclasses import replace

import pytest

from tests.tracker.changepoints.histories import START, revision
from tests.tracker.changepoints.stores import TTFT, record_history
from tests.tracker.changepoints.test_find_shifts import noisy
from tests.tracker.changepoints.test_findings import change
from tracker.changepoints import analyze
from tracker.confirmation import with_confirmation
from tracker.domain import GateInfo, VerdictInfo
from tracker.findings import Analysis, group_by_commit
from tracker.report.findings import findings_document, findings_text
from tracker.store import Store
from tracker.stored_findings import stored_findings


def verdict(status, metric="bench.Chat.track_ttft", gate_id="g", effect=None):
    if effect is None:
        effect = 0.001 if status == "pass" else 0.1
    low, high = effect - 0.05, effect + 0.05
    return VerdictInfo(
        gate_id, metric, "s", "lower", "timing", status, effect, low, high, 8, 1.0, 1.1, 0.02
    )


def gate(*verdicts, gate_id="g", exit_code=0):
    return GateInfo(
        gate_id, "engine", "gpu-1", revision(2), revision(3), START, START, exit_code, 8, verdicts
    )


def finding(*changes):
    (found,) = group_by_commit(
        replace(one, shift=replace(one.shift, previous=revision(2))) for one in changes
    )
    return found


WORSE = change(3, 1, 1.1, worse=True)
BETTER = change(3, 1, 0.9, worse=False)


@pytest.mark.parametrize(
    ("one", "status", "said"),
    [
        (WORSE, "regression", "confirmed"),
        (WORSE, "pass", "refuted"),
        (WORSE, "improvement", "refuted"),
        (WORSE, "inconclusive", "inconclusive"),
        (BETTER, "improvement", "confirmed"),
        (BETTER, "pass", "inconclusive"),
        (BETTER, "regression", "refuted"),
        (change(3, 1, 1.1, worse=None), "regression", "inconclusive"),
    ],
)
def test_what_a_verdict_says_of_a_shift(one, status, said):
    assert with_confirmation(finding(one), [gate(verdict(status))]).confirmation == said


@pytest.mark.parametrize(
    ("one", "effect", "said"),
    [
        (WORSE, 0.1, "confirmed"),
        (WORSE, 0.06, "confirmed"),
        (WORSE, 0.04, "refuted"),  # its interval reaches zero
        (WORSE, -0.1, "refuted"),
        (BETTER, -0.1, "confirmed"),
        (change(3, 1, 1.5, worse=True), 0.1, "refuted"),  # far less than the history shows
    ],
)
def test_a_change_that_was_expected_passes_its_gate_and_is_no_noise(one, effect, said):
    told = with_confirmation(finding(one), [gate(verdict("pass", effect=effect))])
    assert told.confirmation == said


def test_one_series_that_moved_again_confirms_the_commit():
    other = change(3, 1, 1.2, worse=True, benchmark="b")
    both = gate(verdict("pass"), verdict("regression", "b"))
    assert with_confirmation(finding(WORSE, other), [both]).confirmation == "confirmed"
    told = with_confirmation(
        finding(WORSE, other, change(3, 1, 2, worse=True, benchmark="c")), [both]
    )
    assert {one.series.benchmark: one.confirmation for one in told.changes} == {
        WORSE.series.benchmark: "refuted",
        "b": "confirmed",
        "c": None,
    }
    unsure = gate(verdict("pass"), verdict("inconclusive", "b"))
    assert with_confirmation(finding(WORSE, other), [unsure]).confirmation == "inconclusive"


def test_the_newest_valid_gate_that_judged_the_series_counts():
    gates = [
        gate(gate_id="open", exit_code=None),
        gate(verdict("regression"), gate_id="invalid", exit_code=4),
        gate(verdict("pass", "another"), gate_id="other"),
        gate(verdict("pass"), gate_id="newest"),
        gate(verdict("regression"), gate_id="older", exit_code=1),
    ]
    told = with_confirmation(finding(WORSE), gates)
    assert (told.confirmation, told.gate_id, told.cause) == ("refuted", "newest", "noise")
    assert with_confirmation(finding(WORSE), gates[:3]) == finding(WORSE)


def test_the_report_shows_it():
    told = with_confirmation(finding(WORSE), [gate(verdict("regression"))])
    analysis = Analysis((told,), 1, 0, 20, 0, 1, 1)
    assert (
        "confirmed by a paired run against 000000000002 (gate g)" in findings_text(analysis).plain
    )
    (document,) = findings_document(analysis)["findings"]
    assert (document["confirmation"], document["gate"], document["cause"]) == (
        "confirmed",
        "g",
        "code",
    )


def test_stored_gates_are_found():
    with Store.open("sqlite://") as store:
        record_history(store, {TTFT: noisy(0.010, 20) + noisy(0.012, 20)})
        (before,) = analyze(store).findings
        assert (before.confirmation, before.before.commit) == (None, revision(19).commit)
        opened = store.begin_gate(
            "engine",
            base=revision(19).commit,
            head=revision(20).commit,
            machine="gpu-1",
            policy={},
        )
        store.finish_gate(opened, 1, [verdict("regression", gate_id=opened)], 8)
        (after,) = analyze(store).findings
        assert (after.confirmation, after.gate_id) == ("confirmed", opened)
        assert stored_findings(store, "engine") == (after,)
