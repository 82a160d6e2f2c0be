import math

import numpy as np
import pytest
from scipy import stats

from tracker.stats.calibration import lower_bound, noise_of, trials_to_confirm, upper_bound


@pytest.mark.parametrize("trials", [1, 2, 20, 300])
@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 1.0])
def test_the_bounds_are_those_of_scipy(trials, share):
    events = round(share * trials)
    above = stats.binomtest(events, trials, alternative="less").proportion_ci(0.95, "exact").high
    below = stats.binomtest(events, trials, alternative="greater").proportion_ci(0.95, "exact").low
    assert upper_bound(events, trials) == pytest.approx(above, abs=1e-12)
    assert lower_bound(events, trials) == pytest.approx(below, abs=1e-12)


def test_no_trial_says_nothing():
    assert (lower_bound(0, 0), upper_bound(0, 0)) == (0.0, 1.0)


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.3])
def test_trials_to_confirm_is_the_fewest(rate):
    trials = trials_to_confirm(rate)
    assert upper_bound(0, trials) <= rate < upper_bound(0, trials - 1)


def test_a_true_rate_at_the_bound_is_covered():
    # The chance that the upper bound lies below the true rate is at most 5 %, whatever the rate.
    for rate in (0.003, 0.01, 0.07, 0.4):
        missed = sum(
            float(stats.binom.pmf(events, 60, rate))
            for events in range(61)
            if upper_bound(events, 60) < rate
        )
        assert missed <= 0.05


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: upper_bound(3, 2), "3 of 2"),
        (lambda: lower_bound(-1, 2), "-1 of 2"),
        (lambda: upper_bound(0, 2, 1.0), "confidence must lie"),
        (lambda: trials_to_confirm(0.0), "rate must lie"),
    ],
)
def test_impossible_counts_are_named(call, said):
    with pytest.raises(ValueError, match=said):
        call()


def test_noise_tells_drift_between_pairs_from_noise_within_them():
    source = np.random.default_rng(1)
    drift = np.exp(source.normal(0, 0.10, 4000))
    base, head = (drift * np.exp(source.normal(0, 0.01, 4000)) for _ in "ab")
    noise = noise_of(list(zip(base, head, strict=True)))
    assert noise.pairs == 4000
    assert noise.pair == pytest.approx(0.01 * math.sqrt(2), rel=0.05)
    assert noise.floor == pytest.approx(math.hypot(0.10, 0.01), rel=0.05)


def test_noise_of_boundaries():
    assert noise_of([]) is None
    assert noise_of([(0.0, 0.0)]).pair == 0.0
    halves = noise_of([(10.0, 0.0), (0.0, 10.0), (-10.0, -10.0)])
    assert halves.pair == pytest.approx(math.sqrt(2 / 3))
    assert noise_of([(2.0, 2.0)]).pair == 0.0
    one = noise_of([(1.0, math.e)])
    assert (one.pair, one.pairs) == (pytest.approx(1.0), 1)
    assert one.floor == pytest.approx(math.sqrt(0.5))
