"""What one history says: segments, gaps, exact metrics, direction."""

import math
from dataclasses import replace

import pytest

from tests.tracker.changepoints.histories import history, noisy, revision
from tracker.shifts import EXACT_ALGORITHM, exact_steps, find_shifts
from tracker.stats import ALGORITHM


def test_a_slowdown_is_found_at_its_commit():
    found = find_shifts(history(noisy(1.0, 20) + noisy(1.2, 20)))
    (change,) = found.changes
    assert change.shift.revision == revision(20)
    assert change.direction == "worse"
    assert change.shift.effect == pytest.approx(0.2, abs=0.01)
    assert change.shift.algorithm == ALGORITHM
    assert not change.shift.recovered


def test_a_slow_slowdown_is_a_drift_and_no_level_shift():
    values = [value * (1 + k / 400) for k, value in enumerate(noisy(1.0, 200))]
    (change,) = find_shifts(history(values)).changes
    assert change.shift.revision == revision(1)
    assert change.direction == "worse"
    assert change.shift.drift_commits == 199
    assert change.shift.effect == pytest.approx(0.5, abs=0.02)
    assert change.shift.per_100_commits == pytest.approx(0.25, abs=0.01)


def test_the_direction_decides_what_is_worse():
    values = noisy(1.0, 20) + noisy(1.2, 20)
    directions = {
        better: find_shifts(history(values, better=better)).changes[0].direction
        for better in ("lower", "higher", None)
    }
    assert directions == {"lower": "worse", "higher": "better", None: "unknown"}


def test_a_new_fingerprint_is_never_a_regression():
    values = noisy(1.0, 20) + noisy(1.5, 20)
    assert find_shifts(history(values)).changes
    found = find_shifts(history(values, fingerprints=[1] * 20 + [2] * 20))
    assert found.changes == ()
    assert found.num_segments == 2


def test_an_old_fingerprint_that_comes_back_starts_a_segment_of_its_own():
    values = noisy(1.0, 20) + noisy(2.0, 20) + noisy(1.5, 20)
    found = find_shifts(history(values, fingerprints=[1] * 20 + [2] * 20 + [1] * 20))
    assert (found.changes, found.num_segments) == ((), 3)


def test_an_unknown_fingerprint_is_one_segment():
    assert find_shifts(history([1.0] * 9, fingerprints=[None] * 9)).num_segments == 1


def test_another_fingerprint_that_only_knows_more_is_no_new_segment():
    told = history(noisy(1.0, 20) + noisy(1.2, 20), fingerprints=[1, 2] * 20)
    found = find_shifts(replace(told, fingerprint_changes=()))
    assert (len(found.changes), found.num_segments) == (1, 1)


def test_an_environment_that_changed_at_a_failed_commit_starts_at_the_next_value():
    values = [*noisy(1.0, 20), None, *noisy(1.5, 20)]
    found = find_shifts(history(values, fingerprints=[1] * 20 + [2] * 21))
    assert (found.changes, found.num_segments) == ((), 2)


def test_a_shift_inside_a_later_segment_names_the_right_commit():
    values = noisy(3.0, 12) + noisy(1.0, 20) + noisy(1.2, 20)
    found = find_shifts(history(values, fingerprints=[1] * 12 + [2] * 40))
    assert [change.shift.revision for change in found.changes] == [revision(32)]


def test_failed_and_skipped_results_are_dropped_and_counted():
    values = [*noisy(1.0, 20), None, 5.0, math.nan, math.inf, *noisy(1.2, 20)]
    statuses = ["ok"] * 20 + ["failed", "skipped", "ok", "ok"] + ["ok"] * 20
    found = find_shifts(history(values, statuses=statuses))
    assert (found.num_points, found.num_missing) == (40, 4)
    assert [change.shift.revision for change in found.changes] == [revision(24)]


def test_nothing_measured_finds_nothing():
    found = find_shifts(history([None, None]))
    assert (found.changes, found.num_points, found.num_missing) == ((), 0, 2)
    assert find_shifts(history([])).num_segments == 0


def test_an_exact_metric_shifts_at_once_and_needs_no_history():
    found = find_shifts(history([141, 141, 142], kind="exact", unit="1"))
    (change,) = found.changes
    assert change.shift.revision == revision(2)
    assert change.shift.algorithm == EXACT_ALGORITHM


def test_an_exact_metric_that_leaves_zero_has_no_ratio_but_a_direction():
    (change,) = find_shifts(history([0, 0, 3], kind="exact")).changes
    assert change.direction == "worse"
    assert change.shift.effect == math.inf


@pytest.mark.parametrize(
    ("values", "step", "expected"),
    [
        ([5, 5, 5], 0, []),
        ([5, 6, 5], 0, [1, 2]),
        ([5, 6, 6], 1, []),
        ([5, 5.6, 6.2, 6.8], 1, [2]),  # creep below the step, seen when it adds up
        ([], 0, []),
    ],
)
def test_exact_steps(values, step, expected):
    assert exact_steps(values, step) == expected


def test_the_step_of_an_exact_metric_is_the_series_own():
    assert find_shifts(history([100, 104], kind="exact", step=8.0)).changes == ()
    assert find_shifts(history([100, 109], kind="exact", step=8.0)).changes


def test_a_level_that_comes_back_is_recovered():
    values = [1.0] * 20 + [1.3] * 20 + [1.01] * 20
    found = find_shifts(history(values), detect=lambda values: [20, 40])
    assert [(c.direction, c.shift.recovered) for c in found.changes] == [
        ("worse", True),
        ("better", False),
    ]


def test_half_a_recovery_is_none():
    values = [1.0] * 20 + [1.3] * 20 + [1.2] * 20
    found = find_shifts(history(values), detect=lambda values: [20, 40])
    assert not found.changes[0].shift.recovered


def test_negative_values_keep_the_sign_of_the_change():
    (change,) = find_shifts(history([-10.0, -5.0], kind="exact")).changes
    assert change.shift.effect == 0.5
    assert change.direction == "worse"
