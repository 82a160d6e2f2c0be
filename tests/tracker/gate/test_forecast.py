"""How many more pairs: a guess for whoever waits, checked against the gate itself."""

import math
import random
from statistics import median

import pytest

from tracker.gate.forecast import pairs_left
from tracker.stats import PairedGate

LOOKS = (6, 8, 10, 12, 15, 19, 24, 30, 38, 50)


def guess(values, looks=LOOKS):
    ratios = [math.log(head / base) for base, head in values]
    return pairs_left(ratios, margin=0.01, detect=0.03, looks=looks)


@pytest.mark.parametrize("values", [[], [(1.0, 1.0)]])
def test_two_pairs_are_needed_to_see_noise(values):
    assert guess(values) is None


def test_no_noise_is_decided_at_the_next_look():
    assert guess([(1.0, 1.0)] * 2) == 4
    assert guess([(1.0, 1.0)] * 6) == 2


def test_more_noise_takes_longer_and_never_longer_than_the_gate():
    def with_noise(spread):
        draw = random.Random(1)
        return guess([(1.0, 1 + draw.gauss(0, spread)) for _ in range(6)])

    assert with_noise(0.001) <= with_noise(0.02) <= with_noise(0.5) == 44


def test_a_mean_between_margin_and_detect_that_is_known_well_is_decided():
    between = [(1.0, 1.02), (1.0, 1.0201)]
    assert guess(between) == 4


def test_a_regression_is_as_near_as_the_margin_is_far():
    as_bad_as_detect = [(1.0, 1.03 * 1.005), (1.0, 1.03 / 1.005)] * 3
    assert guess(as_bad_as_detect) == 2


def test_nothing_is_left_after_the_last_look():
    assert guess([(1.0, 1.5), (1.0, 0.5)] * 25) == 0


@pytest.mark.parametrize("effect", [0.0, 0.05])
def test_it_is_about_what_the_gate_takes(effect):
    draw = random.Random(7)
    errors = []
    for seed in range(20):
        gate = PairedGate({"m": "lower"}, margin=0.01, detect=0.03, max_pairs=50, seed=seed)
        values, forecast = [], None
        while gate.pending():
            values.append((1.0, (1 + effect) * (1 + draw.gauss(0, 0.015))))
            gate.add({"m": values[-1]})
            if gate.pairs == 6:
                forecast = 6 + (guess(values, looks=gate.looks) or 0)
        errors.append((forecast or gate.pairs) / gate.pairs)
    assert 0.5 < median(errors) < 2
