"""The gate's guarantee and power on the shapes of noise of `tests.calibration`, at test size."""

import numpy as np
import pytest
from scipy import stats as scipy_stats

from tests.calibration.candidates import CANDIDATES
from tests.calibration.gates import CHANGED, play, saving, tally
from tests.calibration.noise import LOUD, SHAPES, SPREAD, interleaved, recorded_launches
from tests.calibration.peers import PEERS, call_rate
from tracker.stats import PairedGate

ALPHA = 0.01
SLOW = (  # gates of many pairs
    "bimodal launches", "recorded A/A launches", "periodic node", "5 % zeros", "SD 0.1 to 10 %",
)  # fmt: skip


def too_many(gates, rate):
    """More than this many has probability below 1 % under `rate`; the seeds are fixed."""
    return scipy_stats.binom.isf(0.01, gates, rate)


def too_few(gates, rate):
    return scipy_stats.binom.ppf(0.01, gates, rate)


@pytest.mark.parametrize("shape", SHAPES)
def test_no_shape_of_noise_raises_the_rate_of_false_regressions(shape):
    gates = 12 if shape in SLOW else 40
    assert tally(shape, gates, 1).false <= too_many(gates, ALPHA)


@pytest.mark.parametrize(
    ("leave_out", "gates"), [(False, 300), (True, 100)], ids=["all-measured", "decided-left-out"]
)
def test_at_the_margin_the_rate_stays_within_alpha(leave_out, gates):
    false = sum(
        bool(play("Gaussian", seed, everywhere=0.01, leave_out=leave_out)[0])
        for seed in range(gates)
    )
    assert false <= too_many(gates, ALPHA)


@pytest.mark.parametrize("shape", ["periodic node", "5 % zeros"])
def test_periods_and_zeros_at_the_margin_stay_within_alpha(shape):
    assert tally(shape, 150, 4, everywhere=0.01).false <= too_many(150, ALPHA)


@pytest.mark.parametrize("shape", ["5 % zeros", "drift of 10 s", "SD 0.1 to 10 %"])
def test_zeros_drifts_and_loud_neighbours_hide_no_slower_metric(shape):
    found = tally(shape, 40, 5, changed=0.03)
    assert found.found >= too_few(40, 0.95)
    assert found.false <= too_many(40, ALPHA)


def test_a_drift_costs_no_pairs():
    assert tally("drift of 10 s", 40, 6).pairs <= 9


@pytest.mark.parametrize(
    ("shape", "pairs"), [("SD 0.1 to 10 %", 24), ("one metric of 50 %", 13), ("timers of 1 ms", 18)]
)
def test_loud_metrics_are_given_up_and_cost_the_others_no_verdict(shape, pairs):
    saved = saving(LOUD[shape], 12, 7)
    assert saved.pairs[0] <= pairs and saved.pairs[1] > 40
    assert saved.lost == 0
    assert saved.decided[0] > 15


@pytest.mark.parametrize(("slowdown", "called", "pairs"), [(0.03, 0.95, 11), (0.05, 0.995, 9)])
def test_a_slower_metric_is_called_soon(slowdown, called, pairs):
    gates = 60
    found = tally("Gaussian", gates, 2, changed=slowdown)
    assert found.found >= too_few(gates, called)
    assert found.pairs <= pairs
    assert found.false <= too_many(gates, ALPHA)


def test_unchanged_metrics_are_passed_soon():
    assert tally("Gaussian", 60, 3).pairs <= 9


def test_a_slowdown_of_the_minimum_detectable_effect_would_have_been_called():
    """The reported MDE of one look, against what that look calls when it is true."""
    names = [f"m{k}" for k in range(5)]

    def look(rng, slower):
        gate = PairedGate(dict.fromkeys(names, "lower"), max_pairs=12, alpha=0.004)
        while gate.pairs < 12:
            ratios = np.exp(rng.normal(0, SPREAD, 5) + np.log1p([slower, 0, 0, 0, 0]))
            gate.add({n: (1.0, float(r)) for n, r in zip(names, ratios, strict=True)})
        return gate

    # Louder than a pass at the first looks allows, so that the look at 12 pairs weighs it.
    seen = [look(np.random.default_rng(seed), 0.018).verdicts()["m0"].mde for seed in range(40)]
    typical = float(np.median([mde for mde in seen if mde is not None]))
    called = sum(
        "m0" in look(np.random.default_rng(100 + seed), typical).regressions() for seed in range(80)
    )
    assert called >= too_few(80, 0.90)
    halved = sum(
        "m0" in look(np.random.default_rng(300 + seed), 0.01 + (typical - 0.01) / 3).regressions()
        for seed in range(40)
    )
    assert halved < 20


@pytest.mark.parametrize("name", CANDIDATES)
def test_every_candidate_keeps_its_bound_and_finds_a_large_change(name):
    false = found = 0
    for seed in range(20):
        base, head, *_ = interleaved(np.random.default_rng(seed), SHAPES["Gaussian"], 24)
        false += bool(CANDIDATES[name](head - base)[0])
        head[:, CHANGED] += np.log1p(0.06)
        found += CHANGED in CANDIDATES[name](head - base - np.log1p(0.01))[0]
    assert false <= too_many(20, ALPHA)
    assert found == 20


def test_rules_for_launches_one_after_the_other_cry_wolf_where_the_machine_drifts():
    rates = {name: call_rate(peer, "drift of 10 s", 5, 1, 0.0) for name, peer in PEERS.items()}
    assert rates["asv, factor 1.05, one after the other"] == 1.0
    assert rates["asv, factor 1.05, interleaved"] == 0.0


@pytest.mark.parametrize("shape", ["Gaussian", "Student t₃", "node effect", "AR(1) 0.5"])
def test_pairs_have_the_spread_that_the_tables_state(shape):
    base, head, *_ = interleaved(np.random.default_rng(1), SHAPES[shape], 4000)
    assert np.std(head - base) == pytest.approx(SPREAD, rel=0.06)


def test_the_recorded_launches_are_complete():
    names, values = recorded_launches()
    assert values.shape[1] == len(names) >= 20
    assert len(values) >= 30
    assert np.isfinite(values).all()
