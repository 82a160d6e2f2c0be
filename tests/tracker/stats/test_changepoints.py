"""Level shifts: quiet on stationary noise of every shape, found where planted, every boundary."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from tracker.stats import detect_change_points
from tracker.stats.changepoints import _seeded_intervals, _threshold


def autoregressive(rng, n, rho):
    noise = rng.normal(size=n + 50)
    for i in range(1, n + 50):
        noise[i] += rho * noise[i - 1]
    return noise[50:]


SHAPES = {
    "gauss": lambda rng, n: rng.normal(size=n),
    "t3": lambda rng, n: rng.standard_t(3, n),
    "ar0.3": lambda rng, n: autoregressive(rng, n, 0.3),
    "ar0.5": lambda rng, n: autoregressive(rng, n, 0.5),
}


@pytest.mark.parametrize("n", [50, 200])
@pytest.mark.parametrize("shape", SHAPES)
def test_stationary_series_raise_no_alarm(shape, n):
    rng = np.random.default_rng(3)
    trials = 200
    alarms = sum(bool(detect_change_points(100 + SHAPES[shape](rng, n))) for _ in range(trials))
    assert alarms <= scipy_stats.binom.isf(1e-4, trials, 0.01)


@pytest.mark.parametrize("shape", ["gauss", "t3"])
@pytest.mark.parametrize("delta", [0.05, -0.05])
def test_a_clear_step_is_found_where_it_is(shape, delta):
    rng = np.random.default_rng(4)
    hits = 0
    for _ in range(50):
        series = 1 + 0.01 * SHAPES[shape](rng, 100)
        series[60:] *= 1 + delta
        hits += any(abs(c - 60) <= 2 for c in detect_change_points(series))
    assert hits >= 47


def test_two_steps_are_both_found():
    rng = np.random.default_rng(5)
    series = 1 + 0.01 * rng.normal(size=150)
    series[50:] *= 1.1
    series[100:] *= 1.1
    found = detect_change_points(series)
    assert [min(abs(c - t) for t in (50, 100)) <= 1 for c in found] == [True, True]


@pytest.mark.parametrize("levels", [(1, 1.3, 1.01), (1, 1.3, 1.2), (1, 1.2, 1)])
def test_a_step_that_a_later_one_takes_back_is_found(levels):
    rng = np.random.default_rng(1)
    both = 0
    for _ in range(40):
        series = np.repeat(levels, 20) * (1 + 0.005 * rng.normal(size=60))
        found = detect_change_points(series)
        both += all(any(abs(c - t) <= 2 for c in found) for t in (20, 40))
    assert both >= 26


def test_seeded_intervals_cover_the_series_at_every_length():
    intervals = _seeded_intervals(200)
    assert all(0 <= start < stop <= 200 and stop - start >= 30 for start, stop in intervals)
    for size in {stop - start for start, stop in intervals}:
        covered = {i for a, b in intervals if b - a == size for i in range(a, b)}
        assert covered == set(range(200))
    assert _seeded_intervals(20) == ()


def test_a_single_outlier_is_no_level():
    rng = np.random.default_rng(6)
    for where in (0, 30, 99):
        series = 1 + 0.01 * rng.normal(size=100)
        series[where] = 50
        assert detect_change_points(series) == []


def test_a_noiseless_step_is_found_once_it_has_held_for_four_points():
    assert detect_change_points([1.0] * 20 + [2.0] * 4) == [20]
    assert detect_change_points([1.0] * 20 + [2.0] * 2) == []


@pytest.mark.parametrize("series", [[], [1.0], [1.0, 2.0], [1.0] * 7, [5.0] * 100])
def test_nothing_to_see(series):
    assert detect_change_points(series) == []


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_values_that_are_not_finite_are_refused(bad):
    with pytest.raises(ValueError, match="value 1 is"):
        detect_change_points([1.0, bad, 1.0])


@pytest.mark.parametrize("rate", [0.0, 1.0, -1.0, math.nan])
def test_an_alarm_rate_outside_its_range_is_refused(rate):
    with pytest.raises(ValueError, match="alarm_rate"):
        detect_change_points([1.0], alarm_rate=rate)


@given(st.lists(st.floats(-1e6, 1e6), max_size=60))
@settings(max_examples=60, deadline=None)
def test_scale_and_offset_do_not_matter(values):
    rounded = [round(v) for v in values]  # exact arithmetic, so that no tie appears or vanishes
    moved = [v * 4.0 + 1024.0 for v in rounded]
    assert detect_change_points(rounded) == detect_change_points(moved)
    mirrored = [-v for v in rounded]
    assert detect_change_points(rounded) == detect_change_points(mirrored)


def test_the_threshold_rises_with_length_and_strictness():
    assert _threshold(50, 0.01) < _threshold(5000, 0.01)
    assert _threshold(50, 0.05) < _threshold(50, 0.01)
