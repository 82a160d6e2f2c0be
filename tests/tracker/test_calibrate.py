"""A/A gates counted, kept and gone on with; only asv is replaced."""

import json

import pytest

from tests.tracker.fake_lab import STEPS, TTFT, FakeRunner, commits, recorder
from tracker.calibrate import calibrate
from tracker.errors import MeasurementError, UsageError
from tracker.gate.alpha_check import alpha_warning
from tracker.gate.limits import Limit
from tracker.gate.measured import gate_commits
from tracker.gate.policy import Policy
from tracker.gate.progress import SilentProgress
from tracker.report import render
from tracker.report.calibration import CALIBRATION_FORMATS
from tracker.store import Store, queries


def quiet(commit, source):
    return {TTFT: 0.1 * (1 + source.gauss(0, 0.004)), STEPS: 40.0}


class Biased:
    """Two launches a pair; the second of each seems 20 % slower whenever it is the head."""

    def __init__(self):
        self.arms = []

    def launching(self, pair, arm, bench):
        self.arms.append(arm)

    def launched(self, result, pair, arm): ...

    def pair_done(self, standing): ...

    def pair_dropped(self, complaints): ...

    def measure(self, commit, source):
        slow = 1.2 if self.arms[-1] == "head" else 1.0
        return {TTFT: 0.1 * slow * (1 + source.gauss(0, 0.004)), STEPS: 40.0}


@pytest.fixture
def store(tmp_path):
    with Store.open(f"sqlite:///{tmp_path}/store.db") as opened:
        yield opened


def run(store, toy, measure, *, gates, policy=Policy(), listener=None, **options):  # noqa: B008
    runner = FakeRunner(toy.root, measure)
    (head,) = commits(toy.root, "HEAD")
    found = calibrate(
        recorder(store, toy.root), runner, head, policy,
        gates=gates, listener=listener or SilentProgress(), **options,
    )  # fmt: skip
    return found, runner


def test_quiet_gates_are_counted_bounded_and_kept(store, toy):
    toy.commit("one")
    found, _ = run(store, toy, quiet, gates=3)
    assert (len(found.gates), found.false_blocks, found.exit_code) == (3, 0, 0)
    assert found.highest_rate == pytest.approx(1 - 0.05 ** (1 / 3))
    (noisy,) = found.metrics
    assert noisy.metric == TTFT and noisy.gates == 3
    assert noisy.noise.pair == pytest.approx(0.004 * 2**0.5, rel=0.4)
    (block,) = queries.calibration_blocks(store, "toy", machine="lab")
    assert (block.gates, block.false_blocks) == (3, 0)
    assert block.policy["commit"] == found.commit.hash
    assert queries.calibration(store, "toy").gates == 3


def test_gates_in_the_store_count_and_a_larger_number_goes_on(store, toy):
    toy.commit("one")
    run(store, toy, quiet, gates=2)
    found, runner = run(store, toy, quiet, gates=2)
    assert runner.launches == [] and len(found.gates) == 2
    found, runner = run(store, toy, quiet, gates=3)
    assert runner.launches and len(found.gates) == 3
    assert [b.gates for b in queries.calibration_blocks(store, "toy")] == [3]


def test_another_policy_or_a_fresh_start_begins_a_block(store, toy):
    toy.commit("one")
    run(store, toy, quiet, gates=2)
    found, _ = run(store, toy, quiet, gates=1, policy=Policy(alpha=0.02))
    assert len(found.gates) == 1
    found, _ = run(store, toy, quiet, gates=1, fresh=True)
    assert (len(found.gates), found.pooled) == (1, (1, 0))
    found, runner = run(store, toy, quiet, gates=1)
    assert runner.launches == [], "the gate of the fresh block counts"
    assert [b.gates for b in queries.calibration_blocks(store, "toy")] == [1, 1, 2]


def test_another_commit_is_another_block_and_both_are_pooled(store, toy):
    toy.commit("one")
    run(store, toy, quiet, gates=2)
    toy.commit("two")
    found, _ = run(store, toy, quiet, gates=1)
    assert (len(found.gates), found.pooled) == (1, (3, 0))


def test_a_gate_that_cries_wolf_is_told_and_later_gates_warn(store, toy):
    toy.commit("one")
    biased = Biased()
    found, _ = run(store, toy, biased.measure, gates=3, listener=biased)
    assert (found.false_blocks, found.exit_code) == (3, 4)
    assert found.lowest_rate == pytest.approx(0.05 ** (1 / 3))
    assert (
        CALIBRATION_FORMATS["text"](found).splitlines()[-1].startswith("REFUTED: 3 of 3 A/A gates")
    )
    blocks = queries.calibration_blocks(store, "toy", machine="lab")
    assert "3 of 3 A/A gates on this machine" in alpha_warning(blocks, 0.01)
    assert alpha_warning(blocks, 0.02) is None
    runner = FakeRunner(toy.root, quiet)
    (head,) = commits(toy.root, "HEAD")
    report = gate_commits(
        recorder(store, toy.root),
        runner,
        head,
        head,
        Policy(max_pairs=1),
        listener=SilentProgress(),
    )
    (warning,) = [one for one in report.warnings if "3 of 3 A/A gates on this machine" in one]
    step = "write `alpha = 0.0001` under [gate] in the policy (pacekeeper.toml)"
    assert step in warning and step in CALIBRATION_FORMATS["text"](found)
    assert f"warning: {warning}" in render(report, "text")
    assert warning in json.loads(render(report, "json"))["warnings"]
    assert f"- warning: {warning}" in render(report, "markdown").replace("\\", "")


def test_a_limit_that_the_commit_breaks_is_no_false_block(store, toy):
    toy.commit("one")
    found, _ = run(store, toy, quiet, gates=1, policy=Policy(limits=(Limit("ttft", 0.01),)))
    assert found.false_blocks == 0


def test_a_commit_that_cannot_be_measured_ends_it(store, toy):
    toy.commit("one")

    def broken(commit, source):
        raise MeasurementError("the core does not start")

    found, _ = run(store, toy, broken, gates=5)
    assert (found.gates, found.exit_code) == ([], 4)
    assert [outcome for outcome, _ in found.uncounted] == ["infrastructure"] * 3
    assert "3 gates in a row gave no valid measurement" in found.stopped
    text = CALIBRATION_FORMATS["text"](found)
    assert "the core does not start" in text
    assert "INVALID: no A/A gate gave a valid measurement; 3 ended as infrastructure" in text


def test_a_benchmark_that_fails_at_random_is_named_and_no_gate_of_it_is_a_pass(store, toy):
    """Two launches in a row fail in HEAD alone: in CI that gate blocks a good commit."""
    toy.commit("one")
    arms = Biased()
    fails = iter([True, True])

    def measure(commit, source):
        values = quiet(commit, source)
        if arms.arms[-1] == "head" and next(fails, False):
            del values[STEPS]
        return values

    found, _ = run(store, toy, measure, gates=2, listener=arms)
    assert [outcome for outcome, _ in found.uncounted] == ["broken"]
    assert (len(found.gates), found.false_blocks, found.exit_code) == (2, 0, 4)
    for form, render_calibration in CALIBRATION_FORMATS.items():
        text = render_calibration(found)
        assert STEPS in text and "broken" in text, form
    text = CALIBRATION_FORMATS["text"](found)
    assert "UNSTABLE: a benchmark fails at random" in text and "1 ended as broken" in text
    assert queries.calibration(store, "toy").gates == 2


def test_the_budget_begins_no_gate_that_ends_later_and_an_interrupt_keeps_what_is_there(store, toy):
    toy.commit("one")
    ticks = iter(range(0, 10000, 10))
    found, _ = run(store, toy, quiet, gates=9, budget=45, clock=lambda: float(next(ticks)))
    assert 1 <= len(found.gates) < 9
    assert found.stopped == "the budget of 45 s is spent"
    before = len(found.gates)
    launched = 0

    def pressed(commit, source):
        nonlocal launched
        launched += 1
        if launched > 3:
            raise KeyboardInterrupt
        return quiet(commit, source)

    found, _ = run(store, toy, pressed, gates=9)
    assert (found.exit_code, len(found.gates)) == (130, before)


def test_an_exact_metric_that_wavers_is_named(store, toy):
    toy.commit("one")

    def wavering(commit, source):
        return quiet(commit, source) | {STEPS: 40.0 + source.randrange(2)}

    found, _ = run(store, toy, wavering, gates=2)
    assert found.unsteady == [STEPS]


def test_no_gates_is_a_usage_error(store, toy):
    toy.commit("one")
    with pytest.raises(UsageError, match="0 gates"):
        run(store, toy, quiet, gates=0)


@pytest.mark.parametrize("form", list(CALIBRATION_FORMATS))
def test_every_format_says_rate_bound_noise_and_what_is_seen(store, toy, form):
    toy.commit("one")
    found, _ = run(store, toy, quiet, gates=2)
    text = CALIBRATION_FORMATS[form](found)
    if form == "json":
        told = json.loads(text)
        assert (told["gates"], told["false_blocks"], told["broken"]) == (2, 0, False)
        assert told["rate_high"] == pytest.approx(0.7764, abs=1e-4)
        assert told["metrics"][0]["mde"] == pytest.approx(0.03)
    else:
        assert "0 of 2 A/A gates called a regression; the rate is at most 77.6% (95 %)" in text
        assert TTFT in text and "3.00%" in text and "299" in text
