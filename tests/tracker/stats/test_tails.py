"""Tail quantiles: against numpy, their coverage, and every boundary."""

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from tracker.stats.tails import compare_tails


def launches(rng, pairs, requests, *, slower=0.0, luck=0.05):
    """Requests of launches that each have a luck of their own."""
    return [
        (np.exp(rng.normal(0, luck) + rng.normal(0, 0.5, requests)) * (1 + slower)).tolist()
        for _ in range(pairs)
    ]


@pytest.mark.parametrize("quantile", [0.5, 0.9, 0.99])
def test_the_quantiles_are_numpys_of_all_requests(quantile):
    rng = np.random.default_rng(1)
    base = [launch[: 40 + k] for k, launch in enumerate(launches(rng, 9, 60))]
    head = launches(rng, 9, 60, slower=0.2)
    found = compare_tails(base, head, quantile=quantile)
    pooled = [
        np.quantile(np.concatenate(arm), quantile, method="inverted_cdf") for arm in (base, head)
    ]
    assert (found.base, found.head) == tuple(pooled)
    assert found.effect == pooled[1] / pooled[0] - 1


def test_the_interval_matches_the_slow_twin():
    rng = np.random.default_rng(2)
    base, head = launches(rng, 8, 130), launches(rng, 8, 130, slower=0.1)
    drawn = np.random.default_rng(5).multinomial(8, np.full(8, 1 / 8), size=1000)
    ratios = []
    for counts in drawn:
        pools = [
            [value for k, launch in enumerate(arm) for value in launch * int(counts[k])]
            for arm in (base, head)
        ]
        low, high = (sorted(pool)[math.ceil(0.95 * len(pool)) - 1] for pool in pools)
        ratios.append(high / low)
    found = compare_tails(base, head, quantile=0.95, seed=5)
    slow = np.percentile(ratios, [2.5, 97.5]) - 1
    assert [found.low, found.high] == pytest.approx(slow.tolist())


def test_the_interval_covers_the_truth_nearly_as_often_as_it_says():
    covered = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        found = compare_tails(launches(rng, 16, 70), launches(rng, 16, 70, slower=0.3))
        covered += found.low <= 0.3 <= found.high
    # Resampling 16 pairs covers about 92 %; below this count has probability 1e-4 at 90 %.
    assert covered >= scipy_stats.binom.ppf(1e-4, 60, 0.90)


def test_launches_not_requests_make_the_interval_narrow():
    rng = np.random.default_rng(3)
    few, many = (
        compare_tails(*(launches(rng, pairs, requests, luck=0.4) for _ in "ab"), quantile=0.9)
        for pairs, requests in ((8, 256), (64, 32))
    )
    assert few.requests == many.requests
    assert few.high - few.low > 1.3 * (many.high - many.low)


@pytest.mark.parametrize(
    ("pairs", "requests", "reason"),
    [
        (0, 0, "no requests"),
        (1, 2000, "1 pair of launches; 8 would do"),
        (7, 2000, "7 pairs of launches; 8 would do"),
        (8, 124, "992 requests an arm; p99 needs 1000"),
        (8, 125, ""),
    ],
)
def test_too_little_gives_no_interval_and_says_what_would_do(pairs, requests, reason):
    rng = np.random.default_rng(4)
    found = compare_tails(launches(rng, pairs, requests), launches(rng, pairs, requests))
    assert reason in found.reason
    assert (found.low is None) == (found.high is None) == bool(reason)
    assert (found.base is None) == (pairs == 0)


def test_all_equal_values_have_an_interval_of_no_width():
    arm = [[2.0] * 200] * 8
    found = compare_tails(arm, arm)
    assert (found.effect, found.low, found.high) == (0.0, 0.0, 0.0)


def test_a_base_of_zeros_has_no_ratio():
    found = compare_tails([[0.0] * 200] * 8, [[1.0] * 200] * 8)
    assert (found.effect, found.low) == (None, None)
    assert "no ratio" in found.reason


def test_huge_values_stay_finite():
    found = compare_tails([[1e300] * 200] * 8, [[1e-300] * 200] * 8)
    assert found.effect == pytest.approx(-1)
    assert math.isfinite(found.high)


def test_a_launch_without_requests_counts_for_nothing():
    rng = np.random.default_rng(6)
    base, head = launches(rng, 9, 200), launches(rng, 9, 200)
    base[4] = []
    found = compare_tails(base, head)
    assert found.requests == 1600
    assert found.low < found.effect < found.high


@pytest.mark.parametrize(
    ("base", "head", "quantile", "message"),
    [
        ([[1.0]], [], 0.99, "1 launches of base, but 0 of head"),
        ([[1.0]], [[1.0]], 0.0, "quantile"),
        ([[1.0]], [[1.0]], math.nan, "quantile"),
        ([[1.0], [2.0, math.nan]], [[1.0], [1.0]], 0.9, "base launch 1: value nan"),
        ([[1.0]], [[-1.0]], 0.9, "head launch 0: value -1.0"),
        ([[1.0]], [[math.inf]], 0.9, "head launch 0: value inf"),
    ],
)
def test_bad_input_is_named(base, head, quantile, message):
    with pytest.raises(ValueError, match=message):
        compare_tails(base, head, quantile=quantile)
