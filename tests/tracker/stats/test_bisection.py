import math

import numpy as np
import pytest
from scipy import stats

from tests.tracker.stats.bisections import NOISE, find
from tracker.stats.bisection import Bisection, exact_step, noisy_step

EXACT = exact_step(0.0)


def t_density(value, level, sigma):
    """Student's t with four degrees of freedom, as textbooks have it."""
    return 0.375 * (1 + ((value - level) / sigma) ** 2 / 4) ** -2.5 / sigma


def test_the_twin_s_density_is_scipy_s():
    assert t_density(0.3, 0.1, 0.05) == pytest.approx(stats.t.pdf(0.3, 4, 0.1, 0.05))


def slow_noisy_step(observed, num_commits):
    """The obvious twin: every hypothesis, level and scale by itself."""
    bad = observed[num_commits]
    level = float(np.median(bad))
    scale = max(1.4826 * float(np.median([abs(v - level) for v in bad])), 1e-4 * level)
    reach = max(6 * scale / math.sqrt(len(bad)), 0.5 * level)
    likelihoods = []
    for first in range(1, num_commits + 1):
        total = 0.0
        for sigma in np.geomspace(scale / 6, scale * 8, 33):
            for new in np.linspace(max(level - reach, 0), level + reach, 61):
                total += math.prod(
                    t_density(value, new if number >= first else 0.0, sigma)
                    for number, values in observed.items()
                    for value in values
                )
        likelihoods.append(math.log(total))
    return np.array(likelihoods)


def test_the_likelihood_is_that_of_the_slow_twin():
    source = np.random.default_rng(5)
    observed = {4: list(source.normal(1, 0.5, 3)), 2: [0.2, 0.9], 1: [-0.1], 3: []}
    fast, slow = noisy_step(observed, 4), slow_noisy_step(observed, 4)
    assert fast - fast[0] == pytest.approx(slow - slow[0], abs=1e-9)


def information(probability, separation):
    """Expected information, in nats, about a question from a normal answer, by integration."""
    grid = np.linspace(-12, 12 + separation, 4001)
    no, yes = stats.norm.pdf(grid), stats.norm.pdf(grid, separation)
    mixed = (1 - probability) * no + probability * yes
    gain = sum(
        weight * np.where(density > 0, density * np.log(np.maximum(density, 1e-300) / mixed), 0)
        for weight, density in ((1 - probability, no), (probability, yes))
    )
    return float(np.trapezoid(gain, grid))


@pytest.mark.parametrize("separation", [0.5, 2.0, 6.0])
def test_the_commit_nearest_one_half_is_the_most_informative(separation):
    bisection = Bisection(12)
    for value in (1.0, 1.3, 0.9, 1.1):
        bisection.observe(12, value)
    bisection.observe(8, 0.7)
    bisection.observe(3, 0.4)
    below = np.cumsum(bisection.posterior())[:-1]
    gains = [information(p, separation) for p in below]
    assert bisection.next() == int(np.argmax(gains)) + 1


@pytest.mark.parametrize("shape", list(NOISE))
def test_who_is_named_is_guilty_as_often_as_said(shape):
    source = np.random.default_rng(11)
    found = [find(source, shape, size=3.0) for _ in range(80)]
    named = [one for one in found if one[1] is not None]
    right = sum(one[0] == one[1] for one in named)
    assert len(named) >= 76
    # 95 % is promised: fewer right ones than this would be seen by chance once in 1,000 times.
    assert right >= stats.binom.ppf(0.001, len(named), 0.95)
    # A noise-free search of 24 commits takes log2(24) = 4.6 steps of two pairs.
    assert np.mean([one[2] for one in found]) <= 14


def test_a_faint_step_takes_more_pairs_and_is_no_less_sure():
    source = np.random.default_rng(12)
    found = [find(source, "normal", size=1.5) for _ in range(40)]
    named = [one for one in found if one[1] is not None]
    right = sum(one[0] == one[1] for one in named)
    assert right >= stats.binom.ppf(0.001, len(named), 0.95)
    assert 15 <= np.mean([one[2] for one in found]) <= 40


def test_one_outlier_does_not_convict():
    bisection = Bisection(8)
    for value in (0.10, 0.11, 0.09, 0.10, 0.105, 0.095):
        bisection.observe(8, value)
    for value in (0.001, -0.004, 4.0, 0.003):  # a launch that took fifty times as long
        bisection.observe(4, value)
    assert bisection.posterior()[:4].sum() < 0.05


def test_skipped_commits_stay_candidates_together():
    bisection = Bisection(6, EXACT)
    bisection.observe(6, 1.0)
    bisection.skip(3)
    bisection.skip(4)
    assert [group.numbers for group in bisection.groups()] == [(1,), (2,), (3, 4, 5), (6,)]
    bisection.observe(2, 0.0)
    bisection.observe(5, 1.0)
    best = max(bisection.groups(), key=lambda group: group.probability)
    assert (best.numbers, best.probability) == ((3, 4, 5), 1.0)
    assert bisection.next() is None, "what is left cannot be measured"


def test_exact_values_halve_the_range():
    bisection = Bisection(16, EXACT)
    bisection.observe(16, 2.0)
    asked = []
    while (number := bisection.next()) is not None:
        asked.append(number)
        bisection.observe(number, 2.0 if number >= 11 else 0.0)
    assert int(np.argmax(bisection.posterior())) + 1 == 11
    assert len(asked) == 4


def test_values_within_the_step_of_an_exact_metric_are_good():
    bisection = Bisection(2, exact_step(5.0))
    bisection.observe(2, 6.0)
    bisection.observe(1, 5.0)
    assert list(bisection.posterior()) == [0.0, 1.0]


def test_exact_values_that_go_back_and_forth_have_no_step():
    bisection = Bisection(4, EXACT)
    for number, value in ((4, 1.0), (1, 1.0), (2, 0.0)):
        bisection.observe(number, value)
    with pytest.raises(ValueError, match="back and forth"):
        bisection.posterior()


def test_a_level_between_two_is_a_misfit_and_a_step_is_none():
    source = np.random.default_rng(3)
    bisection = Bisection(9)
    for number, level in ((9, 0.20), (6, 0.10), (7, 0.20), (3, 0.0)):
        for _ in range(6):
            bisection.observe(number, level + source.normal(0, 0.01))
    found = bisection.misfit(margin=0.01)
    assert found.number == 6 and found.level == pytest.approx(0.10, abs=0.02) and found.p < 1e-3
    assert bisection.misfit(margin=0.15) is None, "not relevant"
    bisection.observed[6] = [value + 0.10 for value in bisection.observed[6]]
    assert bisection.misfit(margin=0.01) is None


def test_without_noise_a_level_between_is_a_misfit_as_well():
    bisection = Bisection(3)
    bisection.observed = {3: [0.2, 0.2], 2: [0.1, 0.1], 1: [0.0, 0.0]}
    assert bisection.misfit(margin=0.01).p == 0.0
    bisection.observed = {3: [0.2, 0.2], 2: [0.2, 0.2], 1: [0.0, 0.0]}
    assert bisection.misfit(margin=0.01) is None
    assert bisection.posterior()[1] > 0.999


def test_one_commit_is_guilty_without_a_question():
    bisection = Bisection(1)
    bisection.observe(1, 0.1)
    bisection.observe(1, 0.2)
    assert list(bisection.posterior()) == [1.0]
    assert bisection.next() is None
    assert bisection.misfit(0.01) is None


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (lambda b: b.posterior(), "at least two values"),
        (lambda b: b.observe(0, 1.0), "commit 0 is not one of 1..4"),
        (lambda b: b.observe(5, 1.0), "commit 5 is not one of 1..4"),
        (lambda b: b.observe(2, math.nan), "nan is not finite"),
        (lambda b: b.skip(4), "commit 4 is not one of 1..3"),
        (lambda b: noisy_step({4: [-0.1, -0.2]}, 4), "median above 0"),
    ],
)
def test_what_makes_no_sense_is_named(act, said):
    with pytest.raises(ValueError, match=said):
        act(Bisection(4))


def test_the_largest_ratio_there_is_and_a_long_range_are_harmless():
    bisection = Bisection(3000)
    for value in (0.1, 0.1, 0.1000001):
        bisection.observe(3000, value)
    bisection.observe(1500, math.log(1.7e308) - math.log(5e-324))
    posterior = bisection.posterior()
    assert np.isfinite(posterior).all() and posterior.sum() == pytest.approx(1)
