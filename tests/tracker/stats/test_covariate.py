"""What a control explains: against slow twins, and the two properties that the gate rests on."""

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from tracker.stats import covariate
from tracker.stats.covariate import estimate

UNKNOWN = np.full((2, 1), math.nan)


def explained(arms, controls, positions=UNKNOWN):
    positions = np.broadcast_to(positions, (2, arms.shape[1]))
    return covariate.explained(arms, controls, positions)


def launches(rng, *, pairs=12, node=0.1, own=0.01, slope=1.0, effect=0.0):
    """Base and head of one metric, and its two controls: one sees the node, the other nothing."""
    speed = rng.normal(0, node, (2, pairs))
    metric = slope * speed + rng.normal(0, own, (2, pairs))
    metric[1] += effect
    controls = np.stack([rng.normal(0, node, (2, pairs)), speed], axis=-1)
    return metric[:, :, None], controls[:, :, None, :]


def slow_explained(arms, controls, margin):
    """One metric, control by control, with scipy's regression of the means of pairs."""
    y = [head - base - margin for base, head in arms.T]
    best, part = (0.0, -1), [0.0] * len(y)
    for k in range(controls.shape[-1]):
        c = [head - base for base, head in controls[:, :, k].T]
        line = scipy_stats.linregress(controls[:, :, k].mean(axis=0), arms.mean(axis=0))
        share = line.rvalue**2
        used = min(line.slope, 2.0)
        left = sum((a - used * b) ** 2 for a, b in zip(y, c, strict=True))
        clear = line.slope > 0 and share * (len(y) - 2) >= 3 * (1 - share)
        if clear and left < sum(a * a for a in y) and share > best[0]:
            best, part = (share, k), [used * b for b in c]
    return part, best[1]


@pytest.mark.parametrize("slope", [0.0, 0.5, 1.0, 3.0, -1.0])
@pytest.mark.parametrize("own", [0.01, 0.1])
def test_it_matches_the_slow_twin(slope, own):
    followed = 0
    for seed in range(30):
        arms, controls = launches(np.random.default_rng(seed), slope=slope, own=own)
        found = explained(arms - [[[0.0]], [[0.01]]], controls)
        part, control = slow_explained(arms[:, :, 0], controls[:, :, 0], 0.01)
        assert found.control.tolist() == [control]
        np.testing.assert_allclose(found.part[:, 0], part, atol=1e-12)
        followed += control == 1
    assert followed >= 25 if slope > 0.2 and own < slope / 10 else True
    assert followed <= 6 if slope <= 0 else True


def test_swapped_arms_turn_what_is_explained_and_nothing_else():
    """So every arrangement of signs has the same slope: a sign-flip test stays exact."""
    rng = np.random.default_rng(1)
    for _ in range(20):
        arms, controls = launches(rng, own=0.05)
        found = explained(arms, controls)
        swapped = rng.random(arms.shape[1]) < 0.5
        turned = explained(
            np.where(swapped[None, :, None], arms[::-1], arms),
            np.where(swapped[None, :, None, None], controls[::-1], controls),
        )
        assert turned.control.tolist() == found.control.tolist()
        np.testing.assert_array_equal(
            turned.part[:, 0], np.where(swapped, -1, 1) * found.part[:, 0]
        )


@pytest.mark.parametrize("effect", [0.02, 0.5, -0.3])
def test_a_slowdown_of_head_is_not_taken_for_the_nodes(effect):
    same, controls = launches(np.random.default_rng(2))
    slower, _ = launches(np.random.default_rng(2), effect=effect)
    before, after = explained(same, controls), explained(slower, controls)
    assert before.control.tolist() == after.control.tolist() == [1]
    np.testing.assert_allclose(after.part, before.part, rtol=1e-9)
    left = slower[1] - slower[0] - after.part
    assert left.mean() == pytest.approx(effect, abs=0.02)
    assert left.std() < 0.03 < (slower[1] - slower[0]).std()


@pytest.mark.parametrize(
    "pairs", [0, 1, 4], ids=["no pairs", "one pair", "fewer than agree by chance"]
)
def test_few_pairs_follow_nothing(pairs):
    arms, controls = launches(np.random.default_rng(3), pairs=pairs)
    found = explained(arms, controls)
    assert found.part.shape == (pairs, 1) and not found.part.any()
    assert found.control.tolist() == [-1] and not found.differs.any()


def test_without_controls_nothing_is_explained():
    arms, _ = launches(np.random.default_rng(3))
    found = explained(arms, np.empty((2, 12, 1, 0)))
    assert not found.part.any() and found.control.tolist() == [-1]


@pytest.mark.parametrize("value", [0.0, 5.0])
def test_a_control_that_never_moves_explains_nothing(value):
    arms, controls = launches(np.random.default_rng(4))
    found = explained(arms, np.full_like(controls, value))
    assert not found.part.any() and found.control.tolist() == [-1]


@pytest.mark.parametrize("drift", [0.05, -0.05])
def test_a_steady_drift_is_removed_and_a_slowdown_is_not(drift):
    rng = np.random.default_rng(8)
    first = rng.integers(2, size=12)
    positions = np.arange(24.0).reshape(12, 2).T
    positions = np.where(first, positions[::-1], positions)
    arms = (drift * positions + rng.normal(0, 0.01, (2, 12)))[:, :, None]
    arms[1] += 0.04
    found = explained(arms, np.empty((2, 12, 1, 0)), positions)
    left = (arms[1] - arms[0] - found.part)[:, 0]
    assert found.control.tolist() == [0] and not found.differs.any()
    assert left.mean() == pytest.approx(0.04, abs=0.01) and left.std() < 0.03


def test_equal_values_and_huge_ones_are_no_trouble():
    controls = launches(np.random.default_rng(4))[1]
    assert explained(np.zeros((2, 12, 1)), controls).control.tolist() == [-1]
    arms, controls = launches(np.random.default_rng(4))
    found = explained(arms * 1e3, controls * 1e3)
    assert found.control.tolist() == [1] and np.isfinite(found.part).all()


def test_pairs_without_a_value_or_a_control_are_left_alone():
    arms, controls = launches(np.random.default_rng(5))
    arms[0, 2] = math.nan
    controls[1, 7] = math.nan
    found = explained(arms, controls)
    there = np.array([k not in (2, 7) for k in range(12)])
    alone = explained(arms[:, there], controls[:, there])
    assert found.control.tolist() == [1]
    np.testing.assert_allclose(found.part[there], alone.part)
    assert found.part[2, 0] == found.part[7, 0] == 0


def test_a_control_that_differs_between_the_arms_is_seen():
    arms, controls = launches(np.random.default_rng(6), node=0.02)
    assert not explained(arms, controls).differs.any()
    arms[1] += 0.1
    controls[1, :, :, 1] += 0.1  # what slows the metric slows the control
    found = explained(arms, controls)
    assert found.control.tolist() == [1] and found.differs.all()


@pytest.mark.parametrize("n", [2, 3, 8])
def test_the_estimate_is_students(n):
    values = np.random.default_rng(n).normal(0.01, 0.02, n)
    found = estimate(values)
    low, high = scipy_stats.t.interval(0.99, n - 1, values.mean(), scipy_stats.sem(values))
    assert found.upper(0.005) == pytest.approx(high)
    assert 2 * found.mean - found.upper(0.005) == pytest.approx(low)


def test_a_fitted_slope_costs_a_degree_of_freedom():
    values = np.random.default_rng(1).normal(0, 1, 6)
    one, two = estimate(values), estimate(values, slopes=1)
    assert (one.freedom, two.freedom) == (5, 4)
    assert two.error == pytest.approx(one.error * math.sqrt(5 / 4))
    assert estimate(values[:1]).error == math.inf
