"""The control's times on their way into a gate's verdict: measured, stored, resumed, warned of."""

import itertools
import random

import pytest

from tests.tracker.fake_lab import TTFT, FakeRunner, NoisyNode, commits, recorder
from tests.tracker.gate.fakes import Notes
from tracker.gate.control import control_differs, controls_of
from tracker.gate.measured import gate_commits
from tracker.gate.policy import Policy
from tracker.gate.replay import gate_stored
from tracker.store import Store

POLICY = Policy(margin=0.03, detect=0.08, max_pairs=24)


class ProcessGoneError(Exception):
    """What no code of the gate catches: the process is gone."""


def node(root, *, has_control=True, dies_at=None):
    """The toy's metric with noise of its own on a node that wanders."""
    numbers = itertools.count()

    def measure(_commit, source):
        if next(numbers) == dies_at:
            raise ProcessGoneError
        return {TTFT: 0.1 * 2.0 ** source.gauss(0, 0.01)}

    return NoisyNode(root, measure, has_control=has_control)


@pytest.fixture
def gate(toy, tmp_path):
    toy.commit("one")
    (commit,) = commits(toy.root, "HEAD")
    with Store.open(f"sqlite:///{tmp_path}/store.db") as store:

        def run(runner, **more):
            measured = gate_commits(
                recorder(store, toy.root), runner, commit, commit, POLICY, listener=Notes(), **more
            )
            replayed = gate_stored(
                store, "toy", commit.hash, commit.hash, POLICY, gate_id=measured.gate_id
            )
            return measured, replayed

        yield run, toy.root


def test_a_node_that_wanders_is_taken_out_and_the_store_says_the_same(gate):
    run, root = gate
    measured, replayed = run(node(root))
    assert measured.exit_code == 0 and measured.pairs <= 12
    assert measured.rows[0].outcome == "pass"
    assert measured.rows[0].reason.endswith("after removing machine noise (control: gemm)")
    assert replayed.rows == measured.rows


def test_without_its_control_the_same_node_leaves_the_gate_undecided(gate):
    run, root = gate
    measured, replayed = run(node(root, has_control=False))
    assert measured.pairs == 12
    assert measured.rows == replayed.rows
    assert measured.rows[0].outcome == "inconclusive"


def test_a_machine_that_slows_down_steadily_is_judged_without_the_drift_and_so_is_the_replay(gate):
    """The order of the launches of each pair reaches the test, and the store gives it back."""
    run, root = gate
    launches = itertools.count()

    def drifting(_commit, source):
        return {TTFT: 0.1 * 1.08 ** next(launches) * 2.0 ** source.gauss(0, 0.01)}

    measured, replayed = run(FakeRunner(root, drifting))
    assert (measured.exit_code, measured.rows[0].outcome) == (0, "pass")
    assert measured.pairs <= 10
    assert measured.rows[0].reason.endswith("after removing a steady drift")
    assert replayed.rows == measured.rows


def test_a_gate_that_goes_on_has_the_controls_of_its_first_pairs(gate):
    run, root = gate
    with pytest.raises(ProcessGoneError):
        run(node(root, dies_at=9), resume=True)
    measured, replayed = run(node(root), resume=True)
    assert any(name == "resumed gate" for name, _ in measured.configuration)
    assert measured.rows[0].reason.endswith("after removing machine noise (control: gemm)")
    assert replayed.rows == measured.rows


def test_a_metric_has_the_control_of_its_own_suite():
    times = {"suite.A": {"gemm": (1.0, 2.0)}}
    metrics = {"a": "suite.A.track_x", "b": "suite.B.track_x", "c": "suite.A.track_y"}
    assert controls_of(metrics, times) == dict.fromkeys("ac", times["suite.A"])


@pytest.mark.parametrize(
    ("lean", "pairs", "warns"),
    [(0.2, 8, True), (0.2, 7, False), (0.02, 30, False), (0.0, 30, False)],
)
def test_a_control_that_one_commit_slows_is_a_warning(lean, pairs, warns):
    draw = random.Random(5)
    seen = [
        {"s.A": {"copy": (1.0, 1.0), "gemm": (1.0, (1 + lean) * 2.0 ** draw.gauss(0, 0.01))}}
        for _ in range(pairs)
    ]
    warnings = control_differs(seen)
    assert len(warnings) == warns
    assert all(w.startswith("s.A: the control workload itself differs") for w in warnings)
    assert all("(gemm +" in w and "of 8 pairs" in w for w in warnings)
