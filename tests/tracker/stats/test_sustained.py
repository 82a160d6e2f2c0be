"""The split of two held levels, beside a slow and obvious twin."""

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from tracker.stats import noise, sustained
from tracker.stats.sustained import splits


def slow_evidence(values):
    """Every split of every window, one by one, by the definitions: (evidence, split) of the best.

    As in the fast one, each score proposes the split where it stands out most before its memory
    is allowed for.
    """
    n = len(values)
    ranks = scipy_stats.rankdata(values)
    rows = [scipy_stats.norm.ppf((ranks - 0.375) / (n + 0.25))]
    rows += [(ranks > share / 10 * n + 0.5).astype(float) for share in range(1, 10)]
    proposals = [
        slow_proposal((row - row.mean()) / (row.std() or 1), i) for i, row in enumerate(rows)
    ]
    main, found = proposals[0], []
    for evidence, split, signed, window in proposals:
        normal = (rows[0] - rows[0].mean()) / rows[0].std()
        along = slow_contrast(normal, window, split) / math.sqrt(main[2][1])
        if signed is main[2] or along * np.sign(signed[0]) > 2:
            found.append((evidence, split))
    return max(found)


def slow_proposal(scores, index):
    best = None
    for start, stop in slow_windows(len(scores)):
        for split in slow_splits(start, stop, len(scores)):
            contrast = slow_contrast(scores, (start, stop), split)
            penalty = slow_penalty(start, split, stop, len(scores)) + (0.3 if index else 0)
            if best is None or abs(contrast) - penalty > best[0]:
                best = (abs(contrast) - penalty, contrast, penalty, (start, stop), split)
    _, contrast, penalty, (start, stop), split = best
    memory = slow_memory(scores[start:split], scores[split:stop])
    evidence = abs(contrast) / math.sqrt(memory) - penalty
    return evidence, split, (contrast, memory), (start, stop)


def slow_windows(n):
    yield 0, n
    for width in (25, 50, 100):
        if 2 * width < n:
            yield from ((t - width, t + width) for t in range(width, n - width + 1))


def slow_splits(start, stop, n):
    return range(4, n - 3) if (start, stop) == (0, n) else [(start + stop) // 2]


def slow_contrast(scores, window, split):
    left, right, both = (
        scores[window[0] : split],
        scores[split : window[1]],
        scores[window[0] : window[1]],
    )
    if both.var() <= 1e-9:
        return 0.0
    spread = both.std() * math.sqrt(1 / len(left) + 1 / len(right))
    return (left.mean() - right.mean()) / spread


def slow_penalty(start, split, stop, n):
    if (start, stop) != (0, n):
        return 1.5
    return 2.5 * max(0.0, math.log(40 / min(split - start, stop - split)))


def slow_memory(left, right):
    left, right = left - left.mean(), right - right.mean()
    joined = np.concatenate((left, right))
    if (joined**2).sum() <= 1e-9 * len(joined):
        return 1.0
    rho = (joined[1:] * joined[:-1]).sum() / (joined**2).sum()
    rho += 2 * (1 + 2 * max(rho, 0)) / len(joined)
    rho = min(max(rho, 0), 0.9)
    wander = 6 * sum((np.cumsum(p) ** 2).mean() for p in (left, right)) / (joined**2).sum()
    return max((1 + rho) / (1 - rho), wander / 1.5)


@pytest.mark.parametrize("seed", range(12))
def test_the_slow_twin_agrees(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(20, 130))
    values = rng.standard_t(3, n).round(1)
    values[n // 2 :] += 0.4 * seed
    evidence, split = slow_evidence(values)
    assert sustained._best_split(values) == (split if evidence > sustained._THRESHOLD else None)


def test_the_twins_saw_both_answers():
    rng = np.random.default_rng(0)
    quiet = rng.normal(size=60)
    shifted = quiet + 4 * (np.arange(60) >= 30)
    assert slow_evidence(quiet)[0] < sustained._THRESHOLD < slow_evidence(shifted)[0]


def test_midranks_are_scipys():
    values = np.random.default_rng(1).integers(0, 9, 50).astype(float)
    assert np.array_equal(noise.midranks(values), scipy_stats.rankdata(values))


def test_inflation_is_that_of_ar1():
    rng = np.random.default_rng(2)
    x = np.zeros(20_000)
    for i in range(1, len(x)):
        x[i] = 0.5 * x[i - 1] + rng.normal()
    assert noise.inflation(x - x.mean(), num_means=1) == pytest.approx(3, rel=0.1)
    assert noise.inflation(rng.normal(size=20_000), num_means=1) == pytest.approx(1, abs=0.05)
    assert noise.inflation(np.zeros(10), num_means=1) == 1


@pytest.mark.parametrize("n", [0, 1, 2, 7, 8, 51, 200])
def test_equal_values_have_no_split(n):
    assert splits(np.full(n, 3.0)) == []


def test_more_spread_without_a_shift_is_no_level():
    rng = np.random.default_rng(3)
    values = np.concatenate((rng.normal(0, 1, 100), rng.normal(0, 6, 100)))
    assert splits(values) == []


def test_a_trend_is_no_level():
    values = np.arange(300) / 10 + np.random.default_rng(5).normal(size=300)
    assert splits(values) == []


def test_a_slow_wander_is_no_level():
    values = np.sin(np.arange(150) / 12) + 0.3 * np.random.default_rng(4).normal(size=150)
    assert splits(values) == []
