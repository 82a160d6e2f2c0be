"""Level shifts: quiet on stationary noise of every shape, found where planted, every boundary."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal
from scipy import stats as scipy_stats

from tracker.stats import ShiftDetector, detect_change_points
from tracker.stats.onset import onset
from tracker.stats.sustained import splits


def autoregressive(rng, n, rho):
    return signal.lfilter([1], [1, -rho], rng.normal(size=n + 100))[100:]


SHAPES = {
    "gauss": lambda rng, n: rng.normal(size=n),
    "t3": lambda rng, n: rng.standard_t(3, n),
    "ar0.3": lambda rng, n: autoregressive(rng, n, 0.3),
    "ar0.5": lambda rng, n: autoregressive(rng, n, 0.5),
}


@pytest.mark.parametrize("n", [20, 100, 200])
@pytest.mark.parametrize("shape", SHAPES)
def test_stationary_series_raise_no_alarm(shape, n):
    rng = np.random.default_rng(3)
    trials = 300
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
        series = np.repeat(levels, 25) * (1 + 0.005 * rng.normal(size=75))
        found = detect_change_points(series)
        both += all(any(abs(c - t) <= 2 for c in found) for t in (25, 50))
    assert both >= 36


def test_a_step_of_noise_with_several_modes_is_found():
    """Half of the runners are 25 % slower: a step of 10 % hides in the ranks, not in the modes."""
    rng = np.random.default_rng(2)
    hits = 0
    for _ in range(20):
        series = rng.choice([1.0, 1.25], 200) * (1 + 0.01 * rng.normal(size=200))
        series[100:] *= 1.1
        hits += any(abs(c - 100) <= 5 for c in detect_change_points(series))
    assert hits >= 16


def test_a_large_step_is_reported_after_two_points():
    rng = np.random.default_rng(7)
    delays = []
    for _ in range(20):
        series = 1 + 0.01 * rng.normal(size=110)
        series[90:] *= 1.1
        delays.append(
            next(
                k
                for k in range(1, 20)
                if any(abs(c - 90) <= 1 for c in found_up_to(series, 90 + k))
            )
        )
    assert np.median(delays) == 2
    assert max(delays) <= 4


def found_up_to(series, length):
    return detect_change_points(series[:length])


def test_a_single_outlier_is_no_level():
    rng = np.random.default_rng(6)
    for where in (0, 30, 99):
        series = 1 + 0.01 * rng.normal(size=100)
        series[where] = 50
        assert detect_change_points(series) == []


def test_two_outliers_that_disagree_are_no_level():
    rng = np.random.default_rng(8)
    series = 1 + 0.01 * rng.normal(size=100)
    series[-2:] = 1.3, 1.9
    assert detect_change_points(series) == []


def test_a_noiseless_step_is_found_once_it_has_held_for_four_points_or_two_after_forty():
    assert detect_change_points([1.0] * 20 + [2.0] * 4) == [20]
    assert detect_change_points([1.0] * 20 + [2.0] * 3) == []
    assert detect_change_points([1.0] * 40 + [2.0] * 2) == [40]
    assert detect_change_points([1.0] * 40 + [2.0]) == []


@pytest.mark.parametrize("series", [[], [1.0], [1.0, 2.0], [1.0] * 7, [5.0] * 100, [0.0] * 1000])
def test_nothing_to_see(series):
    assert detect_change_points(series) == []


@pytest.mark.parametrize("level", [0.0, -5.0, 1e-300, 1e300, -1e308])
def test_a_step_is_found_at_any_size_and_sign(level):
    step = abs(level) / 2 or 1.0
    noise = step * 0.02 * np.random.default_rng(0).normal(size=60)
    found = detect_change_points(level + noise + step * (np.arange(60) >= 40))
    assert found == [40]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_values_that_are_not_finite_are_refused(bad):
    with pytest.raises(ValueError, match="value 1 is"):
        detect_change_points([1.0, bad, 1.0])


def test_values_of_another_shape_are_refused():
    with pytest.raises(ValueError, match="one-dimensional"):
        detect_change_points([[1.0, 2.0]])


def test_a_refused_value_leaves_the_detector_as_it_was():
    detector = ShiftDetector()
    detector.extend([1.0] * 20 + [2.0] * 8)
    with pytest.raises(ValueError, match="value 0 is nan"):
        detector.add(math.nan)
    assert len(detector) == 28
    assert detector.change_points() == [20]


@given(st.lists(st.floats(-1e6, 1e6), max_size=60))
@settings(max_examples=60, deadline=None)
def test_scale_and_offset_do_not_matter(values):
    rounded = [round(v) for v in values]  # exact arithmetic, so that no tie appears or vanishes
    moved = [v * 4.0 + 1024.0 for v in rounded]
    assert detect_change_points(rounded) == detect_change_points(moved)
    mirrored = [-v for v in rounded]
    assert set(detect_change_points(rounded)) == set(detect_change_points(mirrored))


def long_history(seed):
    rng = np.random.default_rng(seed)
    levels = np.repeat([1.0, 1.05, 0.97, 1.02, 1.1, 1.0], rng.multinomial(1300, [1 / 6] * 6))
    return levels * (1 + 0.01 * rng.standard_t(3, 1300))


@pytest.mark.parametrize("seed", [1, 2])
def test_points_one_by_one_give_what_they_give_all_at_once(seed):
    series = long_history(seed)
    detector = ShiftDetector()
    for length, value in enumerate(series, start=1):
        detector.add(value)
        if length % 83 == 0 or length in (599, 600, 601, 625, 1300):
            assert detector.change_points() == detect_change_points(series[:length])
    assert len(detector) == 1300


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=8, deadline=None)
def test_reports_older_than_425_points_never_change(seed):
    """Even of a series that wanders, whose newer reports come and go."""
    steps = np.random.default_rng(seed).normal(size=1300)
    series = long_history(seed) * np.exp(0.002 * np.cumsum(steps))
    final = detect_change_points(series)
    detector = ShiftDetector()
    for start in range(0, 1300, 50):
        detector.extend(series[start : start + 50])
        stable = len(detector) - 425
        reported = detector.change_points()
        assert [c for c in reported if c < stable] == [c for c in final if c < stable]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_little_is_lost_by_settling(seed):
    series = long_history(seed)
    whole, found = splits(series), detect_change_points(series)
    assert sum(any(abs(c - w) <= 5 for c in found) for w in whole) >= len(whole) - 1


def test_only_the_newest_level_is_asked_for_an_onset():
    rng = np.random.default_rng(9)
    series = 1 + 0.01 * rng.normal(size=100)
    series[40:] *= 1.2
    series[-4:] *= 1.2
    assert onset(series[40:]) == 56
    assert detect_change_points(series) == [40, 96]
