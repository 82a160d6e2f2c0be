"""What a comparison of two commits says of noise: seldom wrong, and not blind."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from tests.dashboard.values import series
from tests.tracker.store.values import commit, file_of, measurement
from tracker.comparison import ALPHA, compare, with_noise
from tracker.domain import ComparisonRow
from tracker.stats.launches import MIN_DEGREES, launch_noise, visible_change
from tracker.store import Store


def row(base, head, launches=(), *, kind="timing", step=0.0) -> ComparisonRow:
    described = replace(series(), kind=kind, step=step)
    base, head = tuple(base), tuple(head)
    return ComparisonRow(
        described, float(np.median(base)), float(np.median(head)), "ok", "ok", base, head,
        tuple(map(tuple, launches)),
    )  # fmt: skip


def test_too_few_launches_are_unknown_noise():
    assert launch_noise([[1.0, 1.1]] * (MIN_DEGREES - 1)) is None
    assert launch_noise([[1.0]] * 100) is None
    (answer,) = with_noise([row([1.0], [9.0], [[1.0, 1.1]])])
    assert (answer.noise, answer.visible) == ("unknown", None)


def test_the_noise_is_pooled_over_commits():
    groups = [[1.0, 1.2, 1.1], [2.0, 2.5], [3.0, 3.1, 2.9, 3.0]]
    noise = launch_noise(groups)
    assert noise is not None
    logs = [np.log(group) for group in groups]
    squares = sum(((one - one.mean()) ** 2).sum() for one in logs)
    assert (noise.degrees, noise.is_relative) == (6, True)
    assert noise.deviation == pytest.approx((squares / 6) ** 0.5)
    # One launch against one: the textbook's t interval of a difference.
    expected = stats.t.ppf(1 - 0.01 / 2, 6) * noise.deviation * 2**0.5
    assert visible_change(noise, 1, 1, alpha=0.01) == pytest.approx(expected)
    many = replace(noise, degrees=100)
    assert visible_change(many, 1, 9, alpha=0.01) > 2 * visible_change(many, 9, 9, alpha=0.01)


def test_values_at_or_below_zero_are_differences():
    noise = launch_noise([[0.0, 1.0, -1.0], [5.0, 6.0, 4.0]])
    assert noise is not None
    assert not noise.is_relative
    launches = [[0.0, 1.0, -1.0], [5.0, 6.0, 4.0]]
    near, far = with_noise([row([0.0], [3.0], launches), row([0.0], [-90.0], launches)])
    assert (near.noise, far.noise, far.visible) == ("within", "beyond", None)


@pytest.mark.parametrize(("head", "noise"), [(10.0, "within"), (11.0, "within"), (12.0, "beyond")])
def test_an_exact_metric_has_no_noise_but_its_step(head, noise):
    (answer,) = with_noise([row([10.0], [head], kind="exact", step=1.0)])
    assert answer.noise == noise


@pytest.mark.parametrize("draw", ["normal", "heavy"])
@pytest.mark.parametrize("launches", [1, 5])
def test_an_unchanged_commit_is_seldom_beyond_noise(draw, launches):
    """A family of 40 metrics: any false one in at most 1 % of comparisons (heavy tails: 2 %)."""
    rng = np.random.default_rng(7)
    num, tables = 40, 400
    false = 0
    for _ in range(tables):

        def sample(*shape):
            noise = rng.standard_t(4, shape) if draw == "heavy" else rng.standard_normal(shape)
            return np.exp(0.02 * noise)

        rows = []
        for history, base, head in zip(
            sample(num, 12, 3), sample(num, launches), sample(num, launches), strict=True
        ):
            rows.append(row(base, head, history))
        false += any(one.noise == "beyond" for one in with_noise(rows))
    limit = ALPHA if draw == "normal" else 0.02
    assert stats.binom.sf(false - 1, tables, limit) > 1e-3, f"{false} of {tables}"


def test_a_change_of_several_deviations_is_seen():
    rng = np.random.default_rng(8)
    seen = 0
    for _ in range(200):
        history = np.exp(0.01 * rng.standard_normal((12, 3)))
        base, head = np.exp(0.01 * rng.standard_normal((2, 5)))
        seen += with_noise([row(base, 1.05 * head, history)])[0].noise == "beyond"
    assert seen >= 198


def test_launches_of_gates_and_other_commits_tell_the_noise(store_url):
    with Store.open(store_url) as store:
        for number in range(4):
            for launch in range(4):
                value = 1.0 + 0.01 * launch + (0.5 if number == 3 else 0.0)
                result = measurement(value, number=number, minute=launch)
                store.record_file("p", file_of(number, result), benchmarks={})
        (near,) = compare(store, "p", commit(0), commit(1))
        (far,) = compare(store, "p", commit(0), commit(3))
        assert len(near.launches) == 4
        assert (near.noise, far.noise) == ("within", "beyond")
        assert near.visible is not None
        assert 0.01 < near.visible < 0.1
