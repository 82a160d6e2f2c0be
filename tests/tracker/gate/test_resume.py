"""A gate that was cut off goes on in another process: the same one, and only the same one."""

import itertools

import pytest

from tests.tracker.fake_lab import TTFT, FakeRunner, commits, recorder
from tests.tracker.gate.fakes import Notes
from tracker.domain import Expectation
from tracker.gate.measured import gate_commits
from tracker.gate.policy import Policy
from tracker.gate.resume import gate_lock
from tracker.store import Store, queries


def noisy(commit, source):
    return {TTFT: 0.1 * (1 + source.gauss(0, 0.002))}


class ProcessGoneError(Exception):
    """What no code of the gate catches: the process is gone."""


@pytest.fixture
def store(tmp_path):
    with Store.open(f"sqlite:///{tmp_path}/store.db") as opened:
        yield opened


@pytest.fixture
def lab(store, toy):
    """Gates of the toy's only commit against itself; `dies_at` counts launches."""
    toy.commit("one")
    (commit,) = commits(toy.root, "HEAD")

    def gate(*, dies_at=None, policy=None, resume=True, seed=0, error=ProcessGoneError):
        numbers = itertools.count()

        def measure(commit, source):
            if next(numbers) == dies_at:
                raise error()
            return noisy(commit, source)

        notes = Notes()
        report = gate_commits(
            recorder(store, toy.root), FakeRunner(toy.root, measure), commit, commit,
            policy or Policy(), listener=notes, resume=resume, seed=seed,
        )  # fmt: skip
        return report, notes

    return gate


def test_it_goes_on_with_the_pairs_and_the_seed_that_it_had(store, lab):
    with pytest.raises(ProcessGoneError):
        lab(dies_at=7, seed=5)  # within the fourth pair
    report, notes = lab(seed=9)
    assert notes.resumed_after == 3
    assert report.exit_code == 0 and report.pairs > 3
    (gate,) = queries.list_gates(store, "toy")
    assert (gate.id, gate.exit_code, gate.pairs) == (report.gate_id, 0, report.pairs)
    assert gate.policy["seed"] == 5
    assert ("resumed gate", gate.id) in report.configuration
    values = queries.paired_values(
        store, "toy", gate.base.commit, gate.head.commit, gate_id=gate.id, machine="lab"
    )
    assert values[TTFT].numbers == tuple(range(1, report.pairs + 1))


def test_a_finished_gate_is_not_gone_on_with(store, lab):
    lab()
    _, notes = lab()
    assert notes.resumed_after is None
    assert len(queries.list_gates(store, "toy")) == 2


@pytest.mark.parametrize(
    "other",
    [{"resume": False}, {"policy": Policy(alpha=0.02)}, {"policy": Policy(bench=("ttft",))}],
)
def test_another_policy_and_a_fresh_start_begin_anew(store, lab, other):
    with pytest.raises(ProcessGoneError):
        lab(dies_at=5)
    _, notes = lab(**other)
    assert notes.resumed_after is None
    assert len(queries.list_gates(store, "toy")) == 2


def test_other_suites_begin_anew(store, lab, toy):
    with pytest.raises(ProcessGoneError):
        lab(dies_at=5)
    suite = toy.root / "benchmarks" / "bench_toy.py"
    suite.write_text(suite.read_text() + "\n# another suite\n")
    _, notes = lab()
    assert notes.resumed_after is None


def test_a_gate_without_a_pair_has_nothing_to_go_on_with(store, lab):
    with pytest.raises(ProcessGoneError):
        lab(dies_at=1)
    _, notes = lab()
    assert notes.resumed_after is None


def test_a_gate_that_somebody_measures_is_left_alone(store, lab, toy):
    with pytest.raises(ProcessGoneError):
        lab(dies_at=5)
    (gate,) = queries.list_gates(store, "toy")
    with gate_lock(toy.root, gate.id):
        _, notes = lab()
    assert notes.resumed_after is None


def test_an_interrupted_gate_stays_open_and_goes_on(store, lab):
    report, _ = lab(dies_at=5, error=KeyboardInterrupt)
    assert report.exit_code == 130 and "interrupted" in report.headline
    assert queries.list_gates(store, "toy")[0].exit_code is None
    report, notes = lab()
    assert notes.resumed_after == 2 and report.exit_code == 0


def test_what_was_expected_then_is_what_a_replay_expects(store, toy):
    from tracker.gate.replay import gate_stored

    toy.commit("base")
    toy.commit("slower\n\nPerf-expect: ttft +8% because it is right\nPerf-expect: nonsense")
    (base,), (head,) = commits(toy.root, "HEAD~1"), commits(toy.root, "HEAD")
    store.record_expectation("toy", Expectation("ttft", 0.5, "of another commit", "f" * 40))

    def measure(commit, source):
        return {TTFT: noisy(commit, source)[TTFT] * (1.08 if commit == head.hash else 1)}

    runner = FakeRunner(toy.root, measure)
    report = gate_commits(recorder(store, toy.root), runner, base, head, Policy(), listener=Notes())
    assert report.exit_code == 0 and report.rows[0].expected == pytest.approx(0.08)
    assert any("'Perf-expect: nonsense' is not understood" in one for one in report.warnings)
    again = gate_stored(store, "toy", base.hash, head.hash, Policy())
    assert again.rows == report.rows
    assert Expectation("ttft", 0.08, "it is right", head.hash) in queries.list_expectations(
        store, "toy"
    )
