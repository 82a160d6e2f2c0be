"""The Hodges-Lehmann centre and its interval against slow twins and scipy."""

import itertools

import numpy as np
import pytest
from scipy import stats as scipy_stats

from tracker.stats.robust import center, interval, spread


def walsh(values):
    return [(a + b) / 2 for a, b in itertools.combinations_with_replacement(values, 2)]


@pytest.mark.parametrize("n", [1, 2, 3, 10, 31])
def test_the_center_is_the_median_of_the_means_of_two(n):
    values = np.random.default_rng(n).standard_t(2, n)
    assert center(values) == pytest.approx(np.median(walsh(values)))


@pytest.mark.parametrize("n", [8, 9, 12, 20, 40])
@pytest.mark.parametrize("miss", [0.005, 0.025])
def test_the_interval_holds_every_center_that_wilcoxons_test_does_not_reject(n, miss):
    values = np.random.default_rng(n).normal(0.01, 1, n)
    low, high = interval(values, miss)

    def rejected(center, side):
        test = scipy_stats.wilcoxon(values - center, alternative=side, method="exact")
        return test.pvalue <= miss

    hair = 1e-9
    assert rejected(low - hair, "greater") and not rejected(low + hair, "greater")
    assert rejected(high + hair, "less") and not rejected(high - hair, "less")


@pytest.mark.parametrize(("n", "known"), [(1, False), (2, False), (7, False), (8, True)])
def test_eight_values_are_the_first_to_have_an_interval_of_99_percent(n, known):
    values = np.arange(float(n))
    assert (interval(values, 0.005) is not None) == known
    if known:
        assert interval(values, 0.005) == (0.0, 7.0)


def test_it_covers_the_center_of_noise_with_outliers_as_often_as_it_says():
    rng = np.random.default_rng(1)
    inside = 0
    for _ in range(400):
        low, high = interval(rng.standard_t(1, 10), 0.05)
        inside += low <= 0 <= high
    assert scipy_stats.binom.ppf(0.01, 400, 0.89) <= inside
    assert inside <= scipy_stats.binom.isf(0.01, 400, 0.95)


def test_equal_values_and_huge_ones():
    assert center(np.full(9, 3.0)) == 3.0 and interval(np.full(9, 3.0), 0.005) == (3.0, 3.0)
    values = np.array([-1e300, *np.zeros(18), 1e300])
    assert center(values) == 0.0 and np.isfinite(interval(values, 0.005)).all()


def test_the_spread_is_the_deviation_of_normal_noise_and_hardly_that_of_outliers():
    values = np.random.default_rng(3).normal(5, 0.2, 4000)
    assert spread(values) == pytest.approx(0.2, rel=0.05)
    values[:400] += 1e6
    assert spread(values) == pytest.approx(0.2, rel=0.2)
    assert spread(values[:1]) == 0.0
    values = np.random.default_rng(4).normal(5, 0.2, 4000)
    modes = np.concatenate([values[:500] - 10, values[500:3500], values[3500:] + 10])
    assert spread(modes) == pytest.approx(0.2, rel=0.5)


def test_the_spread_of_a_coarse_timer_is_not_none():
    assert spread(np.array([0.0] * 8 + [1.0] * 4)) == pytest.approx(np.std([0, 0, 1]))
