"""Sign flips and scores against slow, obvious twins."""

import itertools
import math
import statistics

import numpy as np
import pytest
from scipy import stats as scipy_stats

from tracker.stats.signflip import family_maxima, num_flips, scores


def slow_scores(column, relevant):
    seen = sorted(abs(value) for value in column if not math.isnan(value))
    scale = max(relevant, statistics.median_low(seen)) if seen else relevant
    return [0.0 if math.isnan(v) else max(-1.25, min(1.25, v / scale)) for v in column]


@pytest.mark.parametrize("pairs", [1, 2, 3, 8, 9])
def test_scores_match_the_slow_twin(pairs):
    rng = np.random.default_rng(pairs)
    y = rng.standard_t(2, size=(pairs, 4)) * [0.001, 0.01, 0.1, 10]
    y[0, 1] = y[-1, 2] = math.nan
    y[:, 3] = math.nan if pairs == 3 else y[:, 3]
    relevant = np.array([0.02, 0.02, 0.05, 0.01])
    slow = np.transpose([slow_scores(c, r) for c, r in zip(y.T, relevant, strict=True)])
    np.testing.assert_allclose(scores(y, relevant), slow)


def test_the_scores_of_a_flip_are_the_flipped_scores():
    rng = np.random.default_rng(3)
    y = rng.normal(0.01, 0.03, (9, 5))
    flip = rng.choice([-1.0, 1.0], (9, 1))
    relevant = np.full(5, 0.02)
    np.testing.assert_allclose(scores(flip * y, relevant), flip * scores(y, relevant))


@pytest.mark.parametrize(
    ("value", "score"), [(0.0, 0.0), (0.01, 0.5), (-0.02, -1.0), (1e300, 1.0), (-0.6, -1.0)]
)
def test_a_score_is_a_share_of_what_is_relevant_unless_all_values_are_large(value, score):
    table = np.full((6, 1), value)
    np.testing.assert_allclose(scores(table, np.array([0.02])), np.full((6, 1), score))


def test_one_outlier_weighs_little_more_than_its_neighbours():
    y = np.array([[0.02], [0.02], [0.02], [5.0]])
    assert scores(y, np.array([0.02])).ravel().tolist() == [1, 1, 1, 1.25]


def all_flips(pairs):
    """Every sign vector, the identity first."""
    return itertools.product([1.0, -1.0], repeat=pairs)


@pytest.mark.parametrize("pairs", [1, 2, 6])
def test_the_maxima_match_the_slow_twin(pairs):
    table = np.random.default_rng(4).normal(size=(pairs, 3))
    slow = [
        max(sum(s * v for s, v in zip(signs, column, strict=True)) for column in table.T)
        for signs in all_flips(pairs)
    ]
    fast = family_maxima(table, 0)
    assert fast[0] == pytest.approx(slow[0])
    np.testing.assert_allclose(sorted(fast), sorted(slow))
    assert len(fast) == num_flips(pairs)


def test_beyond_thirteen_pairs_flips_are_drawn_from_the_seed():
    table = np.vstack([np.zeros((13, 1)), 2.0 ** np.arange(6)[:, None]])
    sums = family_maxima(table, 7)
    assert len(sums) == num_flips(19) == 2**13
    assert sums[0] == 63  # the identity stays itself
    values, counts = np.unique(sums, return_counts=True)
    assert values.tolist() == list(range(-63, 64, 2))  # each flip of the later pairs
    assert scipy_stats.chisquare(counts).pvalue > 1e-4
    assert (sums == family_maxima(table, 7)).all()
    assert (sums != family_maxima(table, 8)).any()


def test_one_metric_matches_scipys_exact_permutation_test():
    y = np.random.default_rng(5).normal(0.01, 0.01, 9)
    sums = family_maxima(y[:, None], 0)
    ours = np.mean(sums >= sums[0] - 1e-12)
    scipys = scipy_stats.permutation_test(
        (y,), np.sum, permutation_type="samples", alternative="greater", n_resamples=np.inf
    )
    assert ours == pytest.approx(scipys.pvalue)


def test_each_arrangement_is_called_no_oftener_than_its_level_when_all_metrics_get_faster():
    """The proof of docs/statistics.md by enumeration: metrics inside the margin, any amount.

    Whatever the launches were, each of the 2**n arrangements of them is equally likely, so the
    share of arrangements whose own p-value is small is the rate of false regressions.
    """
    rng = np.random.default_rng(6)
    relevant = np.full(4, 0.02)
    for faster in (0.0, 0.002, 0.01, 0.018):
        noise = np.clip(rng.standard_t(3, (7, 4)), -3, 3) * 0.0006
        shift = np.array([0.0, faster, faster, faster / 2])
        p_values = []
        for signs in all_flips(7):
            flipped = np.array(signs)[:, None] * noise
            best = family_maxima(scores(flipped - shift, relevant), 0)
            p_values.append(np.mean(best >= best[0] - 1e-12))
        for level in (1 / 128, 2 / 128, 10 / 128, 0.5):
            assert np.mean(np.array(p_values) <= level + 1e-12) <= level + 1e-12
