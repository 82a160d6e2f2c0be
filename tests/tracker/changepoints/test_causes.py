"""What moved: the code, or something of the environment."""

from dataclasses import fields

import pytest

from tests.tracker.changepoints.histories import history, revision
from tests.tracker.changepoints.test_find_shifts import noisy
from tracker.causes import _FIELDS, cause_of
from tracker.domain import Fingerprint
from tracker.findings import Analysis, group_by_commit
from tracker.report.findings import findings_document, findings_text
from tracker.shifts import find_shifts


@pytest.mark.parametrize(
    ("changed", "cause"),
    [
        ((), "code"),
        (("driver",), "driver"),
        (("torch",), "dependency"),
        (("numpy",), "dependency"),
        (("asv_runner", "torch"), "measuring tool"),
        (("clocks_policy",), "node"),
        (("gpus",), "node"),
        (("torch", "driver", "gpu_model"), "hardware"),
    ],
)
def test_the_deepest_change_is_named(changed, cause):
    assert cause_of(changed) == cause


def test_only_fields_of_the_fingerprint_are_sorted():
    known = {field.name for field in fields(Fingerprint)} | {"gpus"}
    assert {name for names in _FIELDS.values() for name in names} <= known


def moved(before=1.0, after=1.2, **given):
    values = noisy(before, 20) + noisy(after, 20)
    return find_shifts(history(values, fingerprints=[1] * 20 + [2] * 20, **given))


def test_a_level_that_changed_with_the_driver_is_a_move_and_no_shift():
    found = moved()
    assert found.changes == ()
    (move,) = found.moves
    assert (move.shift.cause, move.shift.revision) == ("driver", revision(20))
    assert (move.shift.previous, move.direction) == (revision(19), "worse")
    assert move.shift.effect == pytest.approx(0.2, abs=0.02)


def test_a_new_driver_that_moves_nothing_is_no_move():
    assert moved(after=1.0).moves == ()


def test_the_levels_of_a_move_are_those_beside_it():
    values = noisy(1.5, 20) + noisy(1.0, 25) + noisy(1.2, 25) + noisy(2.0, 20)
    found = find_shifts(history(values, fingerprints=[1] * 45 + [2] * 45))
    (move,) = found.moves
    assert (move.shift.before, move.shift.after) == pytest.approx((1.0, 1.2), abs=0.01)
    assert [change.shift.revision for change in found.changes] == [revision(20), revision(70)]


def test_an_exact_metric_moves_by_its_step():
    values = [141] * 5 + [150] * 5
    found = find_shifts(history(values, fingerprints=[1] * 5 + [2] * 5, kind="exact"))
    assert [move.shift.cause for move in found.moves] == ["driver"]


@pytest.mark.parametrize("before", [1, 5])
@pytest.mark.parametrize("after", [1, 5])
def test_one_point_of_an_exact_metric_moves_it(before, after):
    values, prints = [141] * before + [150] * after, [1] * before + [2] * after
    (move,) = find_shifts(history(values, fingerprints=prints, kind="exact")).moves
    assert (move.shift.before, move.shift.after) == (141, 150)


def test_moves_are_told_apart_from_regressions():
    found = moved()
    analysis = Analysis((), 1, 0, 40, 0, 2, 0, group_by_commit(found.moves))
    text = findings_text(analysis).plain
    assert "moved where the environment changed; no regressions" in text
    assert "cause: driver" in text
    document = findings_document(analysis)
    assert document["findings"] == []
    assert [finding["cause"] for finding in document["moves"]] == ["driver"]
