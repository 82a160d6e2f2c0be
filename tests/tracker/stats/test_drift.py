"""A drift of the newest level: found where it is slow and steady, seldom where nothing moves."""

import numpy as np
import pytest
from scipy import stats as scipy_stats

from tests.tracker.stats.test_changepoints import SHAPES
from tracker.stats import detect_change_points, find_drift


def drifting(seed, end=1.5):
    noise = 1 + 0.005 * np.random.default_rng(seed).normal(size=200)
    return (100 * np.linspace(1, end, 200) * noise).tolist()


@pytest.mark.parametrize("end", [1.5, 0.7])
def test_a_steady_drift_is_found_and_is_no_stairs(end):
    for seed in range(10):
        values = drifting(seed, end)
        assert detect_change_points(values) == []
        drift = find_drift(values)
        assert drift is not None
        assert (drift.start, drift.before, drift.after) == (
            0,
            pytest.approx(100, rel=0.01),
            pytest.approx(100 * end, rel=0.01),
        )


@pytest.mark.parametrize("n", [50, 200])
@pytest.mark.parametrize("shape", SHAPES)
def test_stationary_series_do_not_drift(shape, n):
    rng = np.random.default_rng(3)
    trials = 300
    # Looked for without the level shifts, which would only take points away.
    found = sum(find_drift(100 + 5 * SHAPES[shape](rng, n), []) is not None for _ in range(trials))
    assert found <= scipy_stats.binom.isf(1e-4, trials, 0.01)


def test_only_the_newest_level_is_searched():
    values = [60.0 + v for v in np.random.default_rng(1).normal(size=60)] + drifting(2)
    drift = find_drift(values)
    assert drift is not None
    assert abs(drift.start - 60) <= 2


@pytest.mark.parametrize("values", [[], [1.0] * 100, list(range(1, 50)), drifting(1, 1.01)])
def test_no_drift_of_short_constant_or_hardly_changing_series(values):
    assert find_drift(values, []) is None


def test_a_drift_without_noise_is_found():
    assert find_drift(np.linspace(100, 120, 60).tolist(), []) == (
        0,
        pytest.approx(100),
        pytest.approx(120),
    )


def test_a_step_is_no_drift():
    values = np.random.default_rng(1).normal(100, 1, 200)
    values[150:] += 10
    assert find_drift(values) is None
