"""Contrasts of pairs: log ratios and differences, and the symmetry that the gate's guarantee needs."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.stats.contrasts import PairValues

MARGIN, DETECT = math.log1p(0.05), math.log1p(0.15)

values = st.one_of(st.just(0.0), st.floats(0.5, 2.0), st.floats(-2.0, -0.5), st.floats(-1e9, 1e9))
launch = st.tuples(values, st.floats(0.5, 2.0))  # of the metric and of its control


def contrasts(pairs, *, lower=True, controls=None, first=None):
    seen = PairValues({"m": lower}, np.array([MARGIN]), np.array([DETECT]))
    for k, pair in enumerate(pairs):
        own = {} if controls is None else {"m": {"gemm": controls[k]}}
        seen.add({"m": pair}, own, None if first is None else first[k])
    return seen.contrasts()


def at_margin(value, lower):
    """A value that is worse by the margin: a share of its size, to the worse side."""
    larger = (value > 0) == lower
    return value * math.exp(MARGIN if larger else -MARGIN)


@given(
    pairs=st.lists(st.tuples(launch, launch), min_size=1, max_size=12),
    skipped=st.sets(st.integers(0, 11)),
    swapped=st.sets(st.integers(0, 11)),
    lower=st.booleans(),
)
def test_swapping_the_launches_of_a_pair_turns_its_contrast_and_nothing_else(
    pairs, skipped, swapped, lower
):
    """At the margin: the arrangements of the launches are the sign flips of one table."""

    def arranged(swapped):
        arms = [(b, a) if k in swapped else (a, b) for k, (a, b) in enumerate(pairs)]
        return contrasts(
            [
                None if k in skipped else (base[0], at_margin(head[0], lower))
                for k, (base, head) in enumerate(arms)
            ],
            lower=lower,
            controls=[(base[1], head[1]) for base, head in arms],
            first=["head" if k in swapped else "base" for k in range(len(pairs))],
        )

    as_is, turned = arranged(set()), arranged(swapped)
    signs = np.array([-1.0 if k in swapped else 1.0 for k in range(len(pairs))])
    np.testing.assert_allclose(
        turned.beyond[:, 0], signs * as_is.beyond[:, 0], rtol=1e-6, atol=1e-9
    )
    np.testing.assert_allclose(turned.scale, as_is.scale)


def test_positive_values_are_compared_by_their_ratio():
    seen = contrasts([(2.0, 3.0), (2.0, 1.0)])
    np.testing.assert_allclose(seen.worse[:, 0], np.log([1.5, 0.5]))
    np.testing.assert_allclose(seen.beyond[:, 0], np.log([1.5, 0.5]) - MARGIN)
    np.testing.assert_allclose(seen.short[:, 0], DETECT - np.log([1.5, 0.5]))
    assert np.isnan(seen.scale).all()
    higher = contrasts([(2.0, 3.0), (2.0, 1.0)], lower=False)
    np.testing.assert_allclose(higher.worse[:, 0], -np.log([1.5, 0.5]))


def test_one_zero_makes_all_pairs_differences_over_the_typical_size():
    seen = contrasts([(100.0, 110.0), (100.0, 0.0), (-90.0, 100.0)])
    assert seen.scale[0] == pytest.approx(100.0)
    np.testing.assert_allclose(seen.worse[:, 0], [0.1, -1.0, 1.9])


def test_small_changes_are_alike_as_ratios_and_as_differences():
    rng = np.random.default_rng(1)
    pairs = [tuple(10 * (1 + 0.01 * rng.normal(size=2))) for _ in range(10)]
    ratios, differences = contrasts(pairs), contrasts([*pairs, (0.0, 0.0)])
    for name in ("beyond", "worse", "short"):
        ours = getattr(differences, name)[:-1]
        np.testing.assert_allclose(ours, getattr(ratios, name), atol=0.01)


@pytest.mark.parametrize("pairs", [[(0.0, 0.0)], [None, (1.0, 1.0)], [None]])
def test_no_change_and_no_value_are_no_trouble(pairs):
    seen = contrasts(pairs)
    assert np.isnan(seen.worse[:, 0]).tolist() == [pair is None for pair in pairs]
    assert np.nan_to_num(seen.worse).tolist() == [[0.0]] * len(pairs)
