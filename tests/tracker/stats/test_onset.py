"""A level that has just begun: by the chance of order statistics, or as a record."""

import math
from itertools import combinations

import numpy as np
import pytest
from scipy import signal

from tracker.stats.onset import _exponent, _exponent_but_one, _is_record, onset

BASE = np.random.default_rng(4).normal(size=80)


def begun(*tail, base=BASE):
    return onset(np.concatenate((base, tail)))


@pytest.mark.parametrize("sign", [1, -1])
def test_two_points_are_a_level_beyond_all_outliers_on_either_side(sign):
    assert onset(sign * np.concatenate((BASE, [8.0, 8.4]))) == 80
    spiky = BASE.copy()
    spiky[30] = -6.0  # two thirds of the step on the other side
    assert onset(sign * np.concatenate((spiky, [8.0, 8.4]))) is None
    assert onset(sign * np.concatenate((spiky, [8.0, 8.4, 8.1]))) == 80


def slow_record(deviations, points):
    """By its definition: no window of one point fewer went two thirds as far out, on either side."""
    newest, older = deviations[-points:], deviations[: len(deviations) - points]
    least = min(newest * np.sign(newest[-1]))
    windows = [older[k : k + points - 1] for k in range(len(older) - points + 2)]
    return len(older) >= 40 and not any(
        min(side * value for value in window) >= least / 1.5
        for window in windows
        for side in (1, -1)
    )


@pytest.mark.parametrize("points", [2, 3])
def test_a_record_surpasses_every_earlier_stretch_of_one_point_fewer(points):
    rng = np.random.default_rng(points)
    answers = []
    for size in [38, 40, 60] * 60:
        deviations = rng.normal(size=size + points)
        new = rng.choice([-1, 1]) * rng.uniform(3, 8)
        deviations[-points:] = new + rng.uniform(-0.1, 0.1, points)
        answers.append(slow_record(deviations, points))
        assert _is_record(deviations, points, 1.0) == answers[-1]
    assert 10 < sum(answers) < 170


@pytest.mark.parametrize(
    "tail",
    [(8.0,), (8.0, 20.0, 9.0, 31.0), (8.0, -8.0, 8.0, -8.0), (8.0, 8.2, 0.1, 0.2), (1.5,) * 4],
    ids=["one", "apart", "both sides", "gone again", "within the noise"],
)
def test_no_level(tail):
    base = BASE.copy()
    base[::20] = 9.0  # outliers: four points in a row are not rare enough by themselves
    assert begun(*tail, base=base) is None


def test_many_points_moderately_out_decide_by_their_number():
    tail = np.random.default_rng(1).normal(2.5, 1.0, 12)
    assert abs(begun(*tail) - 80) <= 1


def test_an_older_level_asks_for_more_points():
    def points_needed(age):
        base = np.random.default_rng(4).normal(size=age).clip(-2.5, 2.5)
        base[-2::-30] = 3.2  # the last of them taints a clean onset: only the chance decides
        base[-1] = 0.0
        tail = [3.0, 3.1] * 5
        return next(k for k in range(2, 10) if begun(*tail[:k], base=base) is not None)

    assert points_needed(150) < points_needed(300)


@pytest.mark.parametrize("seed", range(4))
def test_a_slow_rise_is_no_onset(seed):
    """The step must show against the nearest points, not only against the whole older level."""
    noise = np.random.default_rng(seed).normal(size=240)
    assert onset(noise + np.concatenate((np.zeros(140), np.linspace(0, 5, 100)))) is None
    assert onset(noise + 5 * (np.arange(240) >= 207)) == 207


def test_few_points_know_little_of_their_memory():
    """Correlated noise of 20 points: at most 1 % of series have an onset."""
    rng = np.random.default_rng(11)
    noise = signal.lfilter([1], [1, -0.5], rng.normal(size=(1000, 120)))[:, 100:]
    assert sum(onset(100 + row) is not None for row in noise) <= 15


def test_one_straggler_among_many_is_allowed():
    tail = [5.0, 6.0, 4.5, -0.5, 5.5, 4.8, 5.2, 6.1]
    assert begun(*tail) == 80


def test_the_last_of_the_old_level_is_not_the_first_of_the_new():
    base = np.append(BASE, 2.2)  # a high one, but of the old level
    assert begun(*[9.0, 9.3, 8.8, 9.1, 9.2, 8.9], base=base) == 81


@pytest.mark.parametrize("points", [2, 3, 5])
@pytest.mark.parametrize("outer", [1, 2, 4])
def test_the_exponents_are_those_of_independent_points(points, outer):
    """Against counting: each of `points` lies among the outer tenths with a chance of outer/10."""
    share = outer / 10
    all_out = share**points
    one_in = sum(
        share ** (points - 1) * (1 - share) for _ in combinations(range(points), points - 1)
    )
    assert _exponent(share, points) == pytest.approx(-math.log10(all_out))
    assert _exponent_but_one(share, points) == pytest.approx(-math.log10(all_out + one_in))


@pytest.mark.parametrize("n", [0, 1, 2, 6, 7, 100])
@pytest.mark.parametrize("level", [0.0, -2.0, 1e300])
def test_equal_values_have_no_onset(n, level):
    assert onset(np.full(n, level)) is None


def test_a_noiseless_step_needs_a_few_older_points():
    assert onset(np.array([1.0] * 4 + [2.0] * 4)) is None
    assert onset(np.array([1.0] * 12 + [2.0] * 4)) == 12
    assert onset(np.array([1.0] * 39 + [2.0] * 2)) is None
    assert onset(np.array([1.0] * 40 + [2.0] * 2)) == 40
