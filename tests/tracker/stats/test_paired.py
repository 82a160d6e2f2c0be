"""The paired gate: what it says, and every boundary; its error rates are in test_gate_calibration."""

import math
import re

import numpy as np
import pytest
from scipy import stats as scipy_stats

from tracker.stats import PairedGate
from tracker.stats.robust import center

NAMES = [f"m{i}" for i in range(20)]


def play(rng, *, shift, spread=0.01, better="lower"):
    """Run one gate on simulated log ratios; return its verdicts and the pairs it took."""
    gate = PairedGate(dict.fromkeys(NAMES, better))
    sign = 1 if better == "lower" else -1
    while gate.pending():
        noise = rng.normal(0, spread, len(NAMES))
        ratio = np.exp(sign * (noise + np.log1p(shift)))
        gate.add({name: (2.0, 2.0 * float(r)) for name, r in zip(NAMES, ratio, strict=True)})
    return gate.verdicts(), gate.pairs


def called(verdicts):
    return [name for name, v in verdicts.items() if v.status == "regression"]


def test_the_direction_of_higher_is_better_is_respected():
    rng = np.random.default_rng(9)
    shift = np.zeros(20)
    shift[0], shift[1] = 0.08, -0.08  # m0 worse, m1 better, whatever "better" means
    for better in ("lower", "higher"):
        verdicts, _ = play(rng, shift=shift, better=better)
        assert called(verdicts) == ["m0"]
        assert verdicts["m1"].status == "improvement"
        effect = verdicts["m0"].effect
        assert (effect > 0.05) if better == "lower" else (effect < -0.05)
        assert verdicts["m0"].low < effect < verdicts["m0"].high


def test_a_margin_of_its_own_for_a_metric():
    rng = np.random.default_rng(10)
    gate = PairedGate(
        {"tight": "lower", "loose": "lower"},
        margin={"tight": 0.01, "loose": 0.10},
        detect={"tight": 0.03, "loose": 0.20},
    )
    while gate.pending():
        a, b = np.exp(rng.normal(0.06, 0.01, 2))
        gate.add({"tight": (1.0, float(a)), "loose": (1.0, float(b))})
    verdicts = gate.verdicts()
    assert verdicts["tight"].status == "regression"
    assert verdicts["loose"].status == "pass"


def test_noise_too_wide_to_decide_is_inconclusive_and_says_how_many_pairs_would():
    rng = np.random.default_rng(11)
    gate = PairedGate({"a": "lower"}, max_pairs=10)
    while gate.pending():
        gate.add({"a": (1.0, float(np.exp(rng.normal(0, 0.3))))})
    verdict = gate.verdicts()["a"]
    assert verdict.status == "inconclusive"
    assert "pairs would decide" in verdict.reason
    assert verdict.mde > 0.1


@pytest.mark.parametrize("pairs", [0, 1, 2, 5])
def test_too_few_pairs_decide_nothing(pairs):
    gate = PairedGate({"a": "lower"})
    for _ in range(pairs):
        gate.add({"a": (1.0, 100.0)})
    verdict = gate.verdicts()["a"]
    assert verdict.status == "inconclusive"
    assert verdict.pairs == pairs
    assert (verdict.low is None) == (pairs < 2)
    assert verdict.mde is None


def test_six_pairs_can_pass_and_eight_can_block():
    slow = PairedGate({"a": "lower"})
    same = PairedGate({"a": "lower"})
    for k in range(8):
        slow.add({"a": (1.0, 1.2 + k / 1e4)})
        if same.pending():
            same.add({"a": (1.0, 1.0 + (-1) ** k / 1e3)})
        if k == 6:
            assert slow.verdicts()["a"].status == "inconclusive"
    assert same.pairs == 6
    assert same.verdicts()["a"].status == "pass"
    assert slow.verdicts()["a"].status == "regression"


def test_identical_values_pass():
    gate = PairedGate({"a": "lower"})
    while gate.pending():
        gate.add({"a": (3.0, 3.0)})
    verdict = gate.verdicts()["a"]
    assert (verdict.status, verdict.effect) == ("pass", 0.0)


@pytest.mark.parametrize(
    ("base", "head", "status"),
    [(1e-300, 1e300, "regression"), (1e300, 1e-300, "improvement"), (5e-324, 5e-324, "pass")],
)
def test_huge_and_tiny_values_are_judged(base, head, status):
    gate = PairedGate({"a": "lower"})
    for _ in range(8):
        gate.add({"a": (base, head)})
    verdict = gate.verdicts()["a"]
    assert verdict.status == status
    assert verdict.effect == {"regression": math.inf, "improvement": -1.0, "pass": 0.0}[status]


def test_regressions_are_the_verdicts_that_say_so():
    gate = PairedGate(
        {"slow": "lower", "same": "lower", "steps": "lower", "bytes": "lower"},
        exact={"steps": 0.0, "bytes": 0.0},
    )
    assert gate.regressions() == frozenset()
    for number in range(8):
        noise = 1 + (-1) ** number / 1e3
        gate.add(
            {"slow": (1.0, 1.2 * noise), "same": (1.0, noise), "steps": (1, 2), "bytes": (1, 1)}
        )
        called = {name for name, v in gate.verdicts().items() if v.status == "regression"}
        assert gate.regressions() == called
    assert called == {"slow", "steps"}


@pytest.mark.parametrize(
    ("better", "base", "head", "status"),
    [
        ("lower", 100, 101, "regression"),
        ("lower", 101, 100, "improvement"),
        ("higher", 100, 101, "improvement"),
        ("higher", 512, 0, "regression"),
        ("lower", 0, 1, "regression"),
        ("lower", 0, 0, "pass"),
        ("lower", 1e300, 1e300, "pass"),
    ],
)
def test_one_pair_decides_an_exact_metric(better, base, head, status):
    gate = PairedGate({"steps": better}, exact={"steps": 0.0})
    gate.add({"steps": (base, head)})
    assert not gate.pending()
    assert gate.verdicts()["steps"].status == status


def test_the_step_of_an_exact_metric_is_tolerated():
    gate = PairedGate({"bytes": "lower"}, exact={"bytes": 8.0})
    gate.add({"bytes": (1000, 1008)})
    assert gate.verdicts()["bytes"].status == "pass"


def test_an_exact_metric_that_varies_is_inconclusive():
    gate = PairedGate({"steps": "lower", "t": "lower"}, exact={"steps": 0.0})
    gate.add({"steps": (10, 11), "t": (1.0, 1.0)})
    gate.add({"steps": (10, 12), "t": (1.0, 1.0)})
    assert gate.verdicts()["steps"].status == "inconclusive"


def test_decided_metrics_may_be_left_out():
    gate = PairedGate({"steps": "lower", "t": "lower"}, exact={"steps": 0.0})
    gate.add({"steps": (10, 10), "t": (1.0, 1.0)})
    assert gate.pending() == {"t"}
    gate.add({"t": (1.0, 1.0)})
    assert gate.pairs == 2


def test_no_more_pairs_than_max_pairs_are_asked_for():
    gate = PairedGate({"a": "lower"}, max_pairs=3)
    for k in range(3):
        assert gate.pending()
        gate.add({"a": (1.0, 1.0 + k)})
    assert not gate.pending()


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        ({"a": (1.0, 1.0)}, "lacks the pending metrics"),
        ({"a": (1.0, 1.0), "b": (1.0, 1.0), "c": (1.0, 1.0)}, "unknown metrics"),
        ({"a": (1.0, math.nan), "b": (1.0, 1.0)}, "'a': head value nan is not finite"),
        ({"a": (math.inf, 1.0), "b": (1.0, 1.0)}, "not finite"),
    ],
)
def test_a_bad_pair_is_refused_whole(pair, message):
    gate = PairedGate({"a": "lower", "b": "lower"})
    with pytest.raises(ValueError, match=message):
        gate.add(pair)
    assert gate.pairs == 0
    assert gate.verdicts()["b"].pairs == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"metrics": {}}, "at least one metric"),
        ({"metrics": {"a": "smaller"}}, "better must be"),
        ({"alpha": 0.0}, "alpha"),
        ({"alpha": 1.0}, "alpha"),
        ({"alpha": math.nan}, "alpha"),
        ({"margin": 0.03, "detect": 0.03}, "margin < detect"),
        ({"margin": -0.1}, "margin < detect"),
        ({"margin": {"b": 0.1}}, "lacks the metrics"),
        ({"detect": math.inf}, "finite"),
        ({"max_pairs": 0}, "max_pairs"),
        ({"exact": {"z": 0.0}}, "does not have"),
        ({"exact": {"a": -1.0}}, "step"),
    ],
)
def test_a_gate_that_makes_no_sense_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        PairedGate(**{"metrics": {"a": "lower"}, **arguments})


def test_a_verdict_can_be_derived_again():
    def verdict():
        return play(np.random.default_rng(5), shift=np.full(20, 0.012), spread=0.02)[0]

    assert verdict() == verdict()


@pytest.mark.parametrize(("max_pairs", "alpha", "hint"), [(6, 0.01, 8), (9, 0.001, 12)])
def test_the_hint_names_no_number_of_pairs_that_cannot_decide(max_pairs, alpha, hint):
    gate = PairedGate({"a": "lower"}, max_pairs=max_pairs, alpha=alpha)
    for number in range(max_pairs):
        gate.add({"a": (1.0, 1.03 + 0.002 * (-1) ** number)})
    verdict = gate.verdicts()["a"]
    assert verdict.status == "inconclusive"
    assert verdict.reason.endswith(f"about {hint} pairs would decide")


def told_of_the_node(effect=0.0, *, pairs=24, node=0.1, control=1.0, leaks=0.0, seed=3):
    """A gate of launches whose node wanders, told of it by a control."""
    rng = np.random.default_rng(seed)
    gate = PairedGate({"a": "lower", "b": "higher"}, margin=0.03, detect=0.08, max_pairs=pairs)
    while gate.pending() and not gate.regressions():
        speed = np.exp(rng.normal(0, node, 2))
        a, b = speed * np.exp(rng.normal(0, 0.01, (2, 2)))
        seen = speed**control * (1.0, 1 + leaks)
        times = {"gemm": tuple(seen), "copy": tuple(np.exp(rng.normal(0, 0.1, 2)))}
        pair = {"a": (a[0], a[1] * (1 + effect)), "b": (1 / b[0], 1 / b[1])}
        gate.add(pair, {"a": times, "b": times})
    return gate


def test_a_control_takes_the_nodes_part_out():
    gate = told_of_the_node()
    assert {v.status for v in gate.verdicts().values()} == {"pass"}
    assert gate.pairs <= 12
    assert gate.verdicts()["b"].reason.endswith("after removing machine noise (control: gemm)")
    deaf = told_of_the_node(control=0.0)
    assert {v.status for v in deaf.verdicts().values()} == {"inconclusive"} and deaf.pairs == 12


def test_a_slowdown_is_called_where_the_node_is_louder_than_it():
    gate = told_of_the_node(0.1)
    assert gate.regressions() == {"a"} and gate.pairs <= 12
    verdict = gate.verdicts()["a"]
    assert verdict.effect == pytest.approx(0.1, abs=0.02)
    assert verdict.low < 0.1 < verdict.high
    ratios = gate.log_ratios()
    assert center(np.array(ratios["a"])) == pytest.approx(math.log1p(verdict.effect))
    assert np.std(ratios["a"]) < 0.03


@pytest.mark.parametrize("seed", range(5))
def test_a_commit_that_slows_the_control_as_well_is_never_passed_for_it(seed):
    """It leaves a thread running, say: what that costs must not be taken for machine noise."""
    gate = told_of_the_node(0.3, leaks=0.3, node=0.05, seed=seed)
    assert gate.verdicts()["a"].status in ("regression", "inconclusive")
    assert gate.verdicts()["a"].effect == pytest.approx(0.3, abs=0.15)


@pytest.mark.parametrize(
    ("controls", "message"),
    [
        ({"z": {"gemm": (1.0, 1.0)}}, "controls of unknown metrics"),
        ({"a": {"gemm": (1.0, 0.0)}}, "head value 0.0 of its control 'gemm'"),
        ({"a": {"gemm": (math.nan, 1.0)}}, "base value nan of its control 'gemm'"),
    ],
)
def test_controls_that_make_no_sense_are_refused_and_nothing_is_added(controls, message):
    gate = PairedGate({"a": "lower"})
    with pytest.raises(ValueError, match=message):
        gate.add({"a": (1.0, 1.0)}, controls)
    assert gate.pairs == 0


def disturbed(rng, pairs, effect=0.0):
    """Quiet pairs, one in eight of which something else ran into, in one arm or the other."""
    noise = rng.normal(0, 0.01, pairs)
    hit = rng.random(pairs) < 0.125
    return np.exp(noise + hit * rng.choice([-0.4, 0.4], pairs)) * (1 + effect)


def decided(ratios, pairs=30):
    gate = PairedGate({"a": "lower"}, margin=0.03, detect=0.08, max_pairs=pairs)
    for ratio in ratios:
        if not gate.pending():
            break
        gate.add({"a": (1.0, float(ratio))})
    return gate.verdicts()["a"]


def test_disturbed_pairs_do_not_keep_an_unchanged_metric_from_passing():
    found = [decided(disturbed(np.random.default_rng(seed), 30)) for seed in range(40)]
    assert sum(v.status == "pass" for v in found) >= 38
    assert sorted(v.pairs for v in found)[20] <= 12
    assert all(v.low < 0.01 < v.high + 0.01 for v in found)
    assert sum(v.high < 0.08 for v in found) >= 20


def test_disturbed_pairs_do_not_pass_what_is_as_slow_as_detect():
    found = [decided(disturbed(np.random.default_rng(s), 30, 0.08)).status for s in range(150)]
    assert found.count("pass") <= too_many(150, 0.02)
    assert found.count("regression") >= 140


def too_many(gates, rate):
    return scipy_stats.binom.isf(0.01, gates, rate)


def test_what_a_look_sees_is_not_hidden_by_the_slowdowns_that_it_called():
    seen = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        gate = PairedGate(dict.fromkeys("abc", "lower"), margin=0.03, detect=0.08)
        while not gate.regressions():
            a, b, c = np.exp(rng.normal(0, [0.01, 0.01, 0.03]))
            gate.add({"a": (1.0, 1.3 * a), "b": (1.0, b), "c": (1.0, 1.07 * c)})
        verdicts = gate.verdicts()
        assert gate.pairs == 8 and "a" in gate.regressions()
        assert 0.03 < verdicts["a"].mde < 0.1
        seen.append(verdicts["c"].mde)
    told = [mde for mde in seen if mde is not None]
    assert len(told) >= 3 and all(0.03 < mde < 0.5 for mde in told)


@pytest.mark.parametrize(
    ("better", "base", "head", "status", "effect", "difference"),
    [
        ("higher", 120.0, 0.0, "regression", -1.0, -120.0),
        ("lower", 0.0, 3.0, "regression", None, 3.0),
        ("lower", 3.0, 0.0, "improvement", -1.0, -3.0),
        ("lower", -4.0, -2.0, "regression", None, 2.0),
        ("higher", -4.0, -2.0, "improvement", None, 2.0),
        ("lower", 1e300, -1e300, "improvement", -2.0, -2e300),
        ("lower", -5e-324, 1e300, "regression", None, 1e300),
        ("lower", -1e308, 1e308, "regression", None, math.inf),
        ("lower", 0.0, 0.0, "pass", 0.0, 0.0),
        ("lower", -7.0, -7.0, "pass", 0.0, 0.0),
    ],
)
def test_zeros_and_negative_values_are_judged_by_differences(
    better, base, head, status, effect, difference
):
    gate = PairedGate({"a": better}, max_pairs=8)
    while gate.pending():
        gate.add({"a": (base, head)})
    verdict = gate.verdicts()["a"]
    assert verdict.status == status
    assert verdict.effect == effect
    assert verdict.difference == pytest.approx((difference,) * 3)
    assert verdict.reason.endswith(f"; head - base is {difference:.4g}, as a value is not positive")


@pytest.mark.parametrize("better", ["lower", "higher"])
@pytest.mark.parametrize("level", [10.0, -10.0])
def test_the_sign_of_values_does_not_change_what_is_worse(level, better):
    """A counter around 10 or around -10, worse by 5 % of its size, with a zero now and then."""
    rng = np.random.default_rng(1)
    gate = PairedGate({"a": better}, margin=0.01, detect=0.03)
    worse = 0.05 * abs(level) * (1 if better == "lower" else -1)
    while gate.pending():
        base, head = level + rng.normal(0, 0.05, 2)
        gate.add({"a": (0.0 if gate.pairs == 3 else base, head + worse)})
    assert gate.verdicts()["a"].status == "regression"
    assert gate.verdicts()["a"].difference.value == pytest.approx(worse, rel=0.2)


def test_a_metric_without_a_value_in_some_pairs_is_decided_by_the_others():
    rng = np.random.default_rng(2)
    gate = PairedGate({"a": "lower", "b": "lower", "c": "lower"}, exact={"c": 0})
    while gate.pending():
        a, b = 1 + rng.normal(0, 0.002, 2)
        skipped = gate.pairs % 3 == 0
        gate.add(
            {
                "a": None if skipped else (1.0, 1.1 * a),
                "b": (1.0, b),
                "c": None if skipped else (1, 2),
            }
        )
    verdicts = gate.verdicts()
    assert [verdicts[name].status for name in "abc"] == ["regression", "pass", "regression"]
    assert verdicts["a"].pairs < gate.pairs
    assert verdicts["a"].effect == pytest.approx(0.1, abs=0.005)


def test_a_skipped_pair_brings_a_call_no_nearer():
    """Eight pairs can call a regression; six of eight cannot."""
    gate = PairedGate({"a": "lower", "b": "lower"}, max_pairs=8)
    for number in range(8):
        gate.add({"a": (1.0, 2.0) if number > 1 else None, "b": (1.0, 2.0)})
    verdicts = gate.verdicts()
    assert (verdicts["a"].status, verdicts["a"].pairs) == ("inconclusive", 6)
    assert verdicts["b"].status == "regression"


def loud(rng, *, quiet=0.0, pairs=50, seed=0):
    """A gate of one quiet metric, slower by `quiet`, one loud one and one of a coarse timer."""
    gate = PairedGate({"quiet": "lower", "loud": "lower", "timer": "lower"}, max_pairs=pairs)
    while gate.pending():
        a, b = np.exp(rng.normal(0, [0.01, 0.5]))
        timer = tuple(map(float, rng.integers(10, 12, 2)))
        gate.add({"quiet": (1.0, (1 + quiet) * a), "loud": (1.0, b), "timer": timer})
    return gate


def test_a_metric_that_cannot_be_decided_is_given_up_after_twelve_pairs():
    stopped = []
    for seed in range(20):
        gate = loud(np.random.default_rng(seed))
        verdicts = gate.verdicts()
        assert verdicts["quiet"].status == "pass"
        for name in ("loud", "timer"):
            if verdicts[name].status == "inconclusive":
                assert re.search(
                    r"noise of .* at \d+ pairs: about \d+ pairs would decide$",
                    verdicts[name].reason,
                )
                assert int(verdicts[name].reason.split()[-4]) > 50
        stopped.append(gate.pairs)
    assert np.mean(stopped) < 15


def test_max_pairs_of_twelve_or_fewer_give_nothing_up():
    for pairs in (6, 12):
        gate = loud(np.random.default_rng(1), pairs=pairs)
        assert gate.pairs == pairs


def test_what_was_given_up_is_still_called_where_its_pairs_are_measured_anyway():
    gate = PairedGate({"loud": "lower", "other": "lower"})
    rng = np.random.default_rng(3)
    while gate.pairs < 38:
        worse = 3.0 if gate.pairs >= 12 else 1.0
        loud, other = worse * np.exp(rng.normal(0, 0.5)), np.exp(rng.normal(0.02, 0.01))
        gate.add({"loud": (1.0, loud), "other": (1.0, other)})
        if gate.pairs == 12:
            assert "loud" not in gate.pending()
    assert "loud" in gate.regressions() and gate.verdicts()["loud"].status == "regression"


def test_a_metric_that_never_has_a_value_is_given_up_by_name_and_stops_nothing_else():
    rng = np.random.default_rng(4)
    gate = PairedGate({"gone": "lower", "count": "lower", "kept": "lower"}, exact={"count": 0})
    while gate.pending():
        gate.add({"gone": None, "count": None, "kept": (1.0, float(np.exp(rng.normal(0, 0.01))))})
    verdicts = gate.verdicts()
    assert verdicts["kept"].status == "pass" and gate.pairs <= 10
    for name in ("gone", "count"):
        assert verdicts[name].status == "inconclusive" and verdicts[name].pairs == 0
        assert verdicts[name].reason == "no value in any of 6 pairs"


def test_a_metric_whose_values_end_is_given_up():
    gate = PairedGate({"a": "lower"})
    for number in range(9):
        gate.add({"a": (1.0, 1.0 + number % 2 / 3) if number < 3 else None})
    assert not gate.pending()
    assert gate.verdicts()["a"].reason == "no value in the last 6 pairs (3 before)"


def test_a_rate_that_is_zero_in_half_of_the_launches_shows_a_collapse_and_no_less():
    """Two per cent of a value that comes and goes are judged: what is no collapse is undecided."""

    def statuses(zeros_of_head):
        for seed in range(6):
            draw = np.random.default_rng(seed)
            gate = PairedGate({"goodput": "higher"})
            while gate.pending():
                arms = (
                    (draw.random() >= zeros) * draw.normal(10, 0.1)
                    for zeros in (0.5, zeros_of_head)
                )
                gate.add({"goodput": tuple(arms)})
            yield gate.verdicts()["goodput"].status

    assert list(statuses(0.5)).count("inconclusive") >= 5
    assert list(statuses(1.0)).count("regression") >= 5
