"""When the gate looks, and that its budgets add up."""

import itertools

import pytest

from tracker.stats.looks import (
    called_flips,
    can_call,
    fewest_pairs,
    look_schedule,
    miss_levels,
    missed_flips,
)
from tracker.stats.signflip import num_flips

GRID = list(itertools.product([1, 6, 7, 8, 9, 30, 50, 300, 1000], [1e-5, 0.001, 0.01, 0.2, 0.9]))


@pytest.mark.parametrize(("max_pairs", "alpha"), GRID)
def test_no_more_than_alpha_is_spent(max_pairs, alpha):
    looks = look_schedule(max_pairs)
    allowed = called_flips(alpha, looks)
    assert looks[-1] == max_pairs
    assert list(allowed) == list(looks)
    assert sum(count / num_flips(n) for n, count in allowed.items()) <= alpha * (1 + 1e-9)


@pytest.mark.parametrize(("max_pairs", "alpha"), GRID)
def test_a_gate_that_can_call_allows_a_flip_somewhere(max_pairs, alpha):
    allowed = called_flips(alpha, look_schedule(max_pairs))
    assert any(allowed.values()) == can_call(max_pairs, alpha)


@pytest.mark.parametrize("alpha", [0.001, 0.01, 0.1])
def test_little_of_alpha_is_left_unspent(alpha):
    allowed = called_flips(alpha, look_schedule(50))
    assert sum(count / num_flips(n) for n, count in allowed.items()) > 0.85 * alpha


def test_the_default_gate_can_call_from_eight_pairs_on():
    allowed = called_flips(0.01, look_schedule(50))
    assert (allowed[6], allowed[7], allowed[8]) == (0, 0, 1)
    assert all(allowed[n] for n in allowed if n >= 8)
    assert fewest_pairs(0.01) == 8
    assert fewest_pairs(1e-6) is None


@pytest.mark.parametrize("max_pairs", [1, 6, 8, 9, 50, 300])
def test_the_chances_of_a_miss_sum_to_two_percent(max_pairs):
    looks = look_schedule(max_pairs)
    levels = miss_levels(looks)
    assert list(levels) == list(looks[:3])
    assert sum(levels.values()) == pytest.approx(0.01)
    flips = missed_flips(looks)
    assert flips.keys() == set(looks)
    spent = sum(allowed / num_flips(n) for n, allowed in flips.items())
    assert spent <= 0.01 and (spent > 0.009 or max_pairs < 10)
