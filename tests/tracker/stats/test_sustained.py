"""Levels that have been held for a while, beside slow and obvious references."""

import math
from functools import cache

import numpy as np
import pytest
from scipy import stats as scipy_stats

from tracker.stats import noise, sustained
from tracker.stats.sustained import splits


def slow_proposal(values, scale, price):
    """Every segmentation by recursion: the sum of weighted squares plus a price for each change."""
    weights = 1 / scale**2

    @cache
    def best(stop):
        if stop == 0:
            return -price, ()
        options = []
        for start in range(stop):
            part, weight = values[start:stop], weights[start:stop]
            cost = float((weight * (part - np.average(part, weights=weight)) ** 2).sum())
            before, changes = best(start)
            options.append((before + price + cost, (*changes, start)))
        return min(options)

    return list(best(len(values))[1][1:])


def slow_strength(values, clipped, split):
    """The criteria of one change, one by one, by their definitions."""
    n = len(values)
    shorter = min(split, n - split)
    ranks = scipy_stats.rankdata(values)
    rows = [scipy_stats.norm.ppf((ranks - 0.375) / (n + 0.25))]
    rows += [(ranks > share / 10 * n + 0.5).astype(float) for share in range(1, 10)]
    rows = [(row - row.mean()) / (row.std() or 1) for row in rows]
    normal = slow_contrast(rows[0], split) / math.sqrt(slow_memory(rows[0], split))
    evidences = [(abs(normal) / within(rows[0], split), rows[0])]
    for row in rows[1:]:
        contrast = slow_contrast(row, split) / math.sqrt(slow_memory(row, split))
        if normal * np.sign(contrast) > 2:
            evidences.append((abs(contrast) - sustained._DECILE_PENALTY, row))
    evidence, row = max(evidences, key=lambda pair: pair[0])
    sign = np.sign(slow_contrast(row, split))
    step = sign * (row[split:][:40].mean() - row[:split][-40:].mean()) / within(row, split)
    evidence = max(evidence, slow_student(clipped, split) - sustained._VALUES_PENALTY)
    evidence -= 2.5 * (max(0, math.log(40 / shorter)) + max(0, math.log(n / 160)))
    near = clipped[max(0, split - 40) : split + 40]
    at = min(split, 40)
    nearby = (
        slow_student(near, at)
        - 2 * sustained._VALUES_PENALTY
        - 2.5 * math.log(40 / min(shorter, 40))
    )
    evidence = max(evidence, nearby)
    return min(evidence / 4.1, step / (0.8 + 0.2 * max(0, math.log(n / 160))))


def slow_contrast(row, split):
    return (row[split:].mean() - row[:split].mean()) * math.sqrt(split * (1 - split / len(row)))


def slow_student(values, split):
    row = (values - values.mean()) / values.std()
    return abs(slow_contrast(row, split)) / within(row, split) / math.sqrt(slow_memory(row, split))


def within(row, split):
    levels = np.concatenate((row[:split] - row[:split].mean(), row[split:] - row[split:].mean()))
    return levels.std()


def slow_memory(row, split):
    left, right = row[:split] - row[:split].mean(), row[split:] - row[split:].mean()
    joined = np.concatenate((left, right))
    if (joined**2).sum() <= 1e-9 * len(joined):
        return 1.0
    rho = (joined[1:] * joined[:-1]).sum() / (joined**2).sum()
    rho += 2 * (1 + 2 * max(rho, 0)) / len(joined)
    rho = min(max(rho, 0), 0.9)
    wander = 6 * sum((np.cumsum(p) ** 2).mean() for p in (left, right)) / (joined**2).sum()
    return max((1 + rho) / (1 - rho), wander)


@pytest.mark.parametrize("seed", range(6))
def test_the_proposal_is_the_best_of_all_segmentations(seed):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=40) + 4 * (np.arange(40) // (5 + seed) % 2)
    scale = rng.uniform(0.5, 2, 40)
    expected = slow_proposal(values, scale, 4.1**2)
    assert sustained._proposed(values, scale) == expected


@pytest.mark.parametrize("seed", range(12))
def test_a_change_is_as_strong_as_its_criteria_say(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(40, 400))
    split = int(rng.integers(8, n - 8))
    values = rng.standard_t(3, n).round(1)
    values[split:] += 0.3 * (seed + 1)
    clipped, _ = sustained.clip_outliers(values)
    strength = sustained._strength(values, clipped, split)
    assert strength == pytest.approx(slow_strength(values, clipped, split), abs=1e-6)


def slow_place(values, split):
    """The split of all with the largest likelihood: two levels, Student's t with 3 degrees."""
    old, new = np.median(values[:split]), np.median(values[split:])
    residuals = np.concatenate((values[:split] - old, values[split:] - new))
    scale = 1.4826 * np.median(np.abs(residuals))
    levels = [np.where(np.arange(len(values)) < t, old, new) for t in range(len(values) + 1)]
    likelihood = [scipy_stats.t.logpdf((values - level) / scale, 3).sum() for level in levels]
    return 8 + int(np.argmax(likelihood[8 : len(values) - 7]))


def test_a_change_is_placed_where_it_is_most_likely_unless_it_was_stronger():
    moved = 0
    for seed in range(20):
        values = np.random.default_rng(seed).standard_t(3, 80)
        values[40:] += 2
        judge = sustained._Judge(values, sustained.clip_outliers(values)[0])
        likely = slow_place(values, 36)
        is_better = judge(0, likely, 80) >= judge(0, 36, 80)
        assert sustained._placed(values, judge, 0, 36, 80) == (likely if is_better else 36)
        moved += is_better and likely != 36
    assert 10 <= moved < 20


@pytest.mark.parametrize("step", [3, 10])
def test_a_level_and_its_return_are_both_found(step):
    values = np.random.default_rng(1).normal(size=640)
    values[300:340] += step
    assert splits(100 + values) == pytest.approx([300, 340], abs=3)


def test_small_stairs_are_found():
    """Ten levels of 40 points, each 3 % above the last, in noise of 1 %."""
    counts = []
    for seed in range(10):
        levels = 1.03 ** np.repeat(np.arange(10), 40)
        found = splits(100 * levels * (1 + 0.01 * np.random.default_rng(seed).normal(size=400)))
        counts.append(
            sum(min(abs(np.array(found) - t), default=9) <= 5 for t in range(40, 400, 40))
        )
    assert np.mean(counts) >= 8


def test_a_disturbance_of_seven_points_is_no_level():
    values = np.random.default_rng(1).normal(size=200)
    values[100:107] += 10
    assert splits(100 + values) == []
    values[107:112] += 10
    assert splits(100 + values) == [100, 112]


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
    values = np.sin(np.arange(150) / 40) + np.random.default_rng(4).normal(size=150)
    assert splits(values) == []
