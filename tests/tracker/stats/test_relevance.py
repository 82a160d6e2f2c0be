"""Which shifts matter: half a per cent of the level, or three times its noise."""

import math

import numpy as np
import pytest

from tracker.stats import detect_change_points
from tracker.stats.onset import onset
from tracker.stats.relevance import relevance
from tracker.stats.robust import spread
from tracker.stats.sustained import splits

LEVEL = np.array([99.0, 100.0, 101.0])


@pytest.mark.parametrize("sign", [1, -1])
def test_half_a_per_cent_of_the_level_is_the_least_that_matters(sign):
    assert relevance(LEVEL, LEVEL + sign * 0.5) == pytest.approx(1)
    assert relevance(LEVEL, LEVEL + sign * 0.25) == pytest.approx(0.5)


def test_three_times_the_noise_matters_however_small_a_share_it_is():
    high = LEVEL + 9900  # half a per cent of it is 50
    assert relevance(high, high + 3 * spread(LEVEL)) == pytest.approx(1)


def test_any_shift_of_a_level_without_noise_matters_and_none_does_not():
    quiet = np.full(5, 7.0)
    assert relevance(quiet, quiet + 1e-9) == math.inf
    assert relevance(quiet, quiet) == 0


def test_a_shift_inside_the_gates_margin_waits_until_it_is_held():
    """0.8 % of the level: reported once held, not while it has only begun."""
    noise = 0.2 * np.random.default_rng(4).normal(size=120)
    (found,) = detect_change_points(100 + noise + 0.8 * (np.arange(120) >= 90))
    assert abs(found - 90) <= 1
    assert onset(100 + noise + 0.8 * (np.arange(120) >= 110)) is None
    assert onset(100 + noise + 1.2 * (np.arange(120) >= 110)) == 110


@pytest.mark.parametrize("since", [60, 10], ids=["held for long", "begun just now"])
def test_a_shift_that_does_not_matter_is_not_reported(since):
    noise = np.random.default_rng(4).normal(size=120)
    shift = 2.5 * (np.arange(120) >= 120 - since)
    (found,) = detect_change_points(100 + noise + shift)
    assert abs(found - (120 - since)) <= 1
    assert detect_change_points(1000 + noise + shift) == []


def test_two_shifts_that_matter_only_together_are_reported_as_one():
    """Two of 0.4 %: the levels of the smaller one join."""
    noise = 3 * np.random.default_rng(5).normal(size=300)
    stairs = 4.0 * (np.arange(300) >= 100) + 4.0 * (np.arange(300) >= 200)
    assert len(splits(100 + noise + stairs)) == 2
    assert len(splits(1000 + noise + stairs)) == 1
