import random

import pytest

from tests.tracker.store.values import BENCHMARKS, commit, committed_at, file_of, measurement
from tracker.domain import RevisionRecord
from tracker.errors import UsageError
from tracker.gate.policy import Policy
from tracker.gate.replay import gate_stored
from tracker.store import Store


def noisy_pairs(effect, count=12, noise=0.003, seed=1):
    draw = random.Random(seed)
    return [
        (1 + draw.gauss(0, noise), (1 + effect) * (1 + draw.gauss(0, noise))) for _ in range(count)
    ]


def keep_gate(store, benchmark, pairs, exit_code, start, machine="box"):
    """One gate of commit 2 against commit 1 that measured one benchmark."""
    gate = store.begin_gate("p", base=commit(1), head=commit(2), machine=machine, policy={})
    for number, values in enumerate(pairs, start=1):
        for arm, which, value in zip(("base", "head"), (1, 2), values, strict=True):
            one = measurement(value, benchmark=benchmark, number=which, minute=start + number)
            store.record_file(
                "p", file_of(which, one, machine=machine), benchmarks=BENCHMARKS,
                source="gate", gate_id=gate, pair=number, arm=arm,
            )  # fmt: skip
    if exit_code is not None:
        store.finish_gate(gate, exit_code, [], len(pairs))
    return gate


@pytest.fixture
def store(tmp_path):
    with Store.open(f"sqlite:///{tmp_path}/gates.db") as opened:
        revisions = [RevisionRecord(commit(number), committed_at(number)) for number in (1, 2)]
        opened.record_revisions("p", revisions)
        yield opened


def replay(store, policy=None, **more):
    return gate_stored(store, "p", commit(1), commit(2), policy or Policy(), **more)


def test_a_gate_without_a_valid_end_does_not_hide_a_stored_regression(store):
    regressed = keep_gate(store, "b.time_x", noisy_pairs(0.1), 1, 0)
    assert replay(store).exit_code == 1
    for exit_code in (4, None):
        keep_gate(store, "b.time_x", noisy_pairs(0.0, count=6), exit_code, 100)
        report = replay(store)
        assert report.exit_code == 1 and report.gate_id == regressed


def test_the_gate_that_is_judged_is_named_and_others_are_told_of(store):
    older = keep_gate(store, "b.time_x", noisy_pairs(0.1), 1, 0)
    newest = keep_gate(store, "b.time_x", noisy_pairs(0.0, seed=3), 0, 100)
    report = replay(store)
    assert report.exit_code == 0 and report.pairs == 12
    assert dict(report.configuration)["replayed gate"].startswith(f"{newest} of 20")
    (warning,) = report.warnings
    assert f"not judged here: {older} (exit 1); `--gate ID`" in warning
    assert replay(store, gate_id=older[:6]).exit_code == 1
    with pytest.raises(UsageError, match="no gate 'zz' of these commits"):
        replay(store, gate_id="zz")


def test_pairs_of_two_gates_are_never_joined(store):
    older = keep_gate(store, "b.time_x", noisy_pairs(0.1), 1, 0)
    keep_gate(store, "b.track_y", noisy_pairs(0.0, seed=3), 0, 100)
    assert [row.metric for row in replay(store).rows] == ["b.track_y"]
    report = replay(store, gate_id=older)
    assert [row.metric for row in report.rows] == ["b.time_x"]
    assert report.exit_code == 1


def test_gates_without_a_valid_end_decide_nothing(store):
    invalid = keep_gate(store, "b.time_x", noisy_pairs(0.1), 4, 0)
    report = replay(store)
    assert report.exit_code == 4 and "none of the 1 stored gates" in report.headline
    report = replay(store, gate_id=invalid)
    assert report.exit_code == 4 and "no valid measurement (exit 4)" in report.headline


def test_gates_of_two_machines_are_not_mixed(store):
    keep_gate(store, "b.time_x", noisy_pairs(0.1), 1, 0)
    keep_gate(store, "b.time_x", noisy_pairs(0.0), 0, 100, machine="other")
    with pytest.raises(UsageError, match="several machines: box, other"):
        replay(store)
    assert replay(store, machine="box").exit_code == 1


def test_only_the_benchmarks_that_were_asked_for_are_judged(store):
    keep_gate(store, "b.time_x", noisy_pairs(0.1), 1, 0)
    assert replay(store, Policy(bench=("time",))).exit_code == 1
    report = replay(store, Policy(bench=("nonesuch",)))
    assert report.exit_code == 4 and report.rows == ()
    assert "none of the 1 stored metrics matches 'nonesuch'" in report.headline
