"""Which shifts matter: 0.75 % of the level, or three times its noise."""

import math

import numpy as np
import pytest

from tracker.stats import detect_change_points
from tracker.stats.relevance import relevance
from tracker.stats.robust import spread
from tracker.stats.sustained import splits

LEVEL = np.array([99.0, 100.0, 101.0])


@pytest.mark.parametrize("sign", [1, -1])
def test_the_least_shift_that_matters_is_a_share_of_the_level(sign):
    assert relevance(LEVEL, LEVEL + sign * 0.75) == pytest.approx(1)
    assert relevance(LEVEL, LEVEL + sign * 0.375) == pytest.approx(0.5)


def test_three_times_the_noise_matters_however_small_a_share_it_is():
    high = LEVEL + 9900  # 0.75 % of it is 75
    assert relevance(high, high + 3 * spread(LEVEL)) == pytest.approx(1)


def test_any_shift_of_a_level_without_noise_matters_and_none_does_not():
    quiet = np.full(5, 7.0)
    assert relevance(quiet, quiet + 1e-9) == math.inf
    assert relevance(quiet, quiet) == 0


@pytest.mark.parametrize("since", [60, 10], ids=["held for long", "begun just now"])
def test_a_shift_that_does_not_matter_is_not_reported(since):
    noise = np.random.default_rng(4).normal(size=120)
    shift = 2.5 * (np.arange(120) >= 120 - since)
    (found,) = detect_change_points(100 + noise + shift)
    assert abs(found - (120 - since)) <= 1
    assert detect_change_points(1000 + noise + shift) == []


def test_two_shifts_that_matter_only_together_are_reported_as_one():
    """Two of 0.6 %: the levels of the smaller one join."""
    noise = 3 * np.random.default_rng(5).normal(size=300)
    stairs = 6.0 * (np.arange(300) >= 100) + 6.0 * (np.arange(300) >= 200)
    assert len(splits(100 + noise + stairs)) == 2
    assert len(splits(1000 + noise + stairs)) == 1
