import random

import pytest

from tests.tracker.store.values import BENCHMARKS, commit, committed_at, file_of, measurement
from tracker.domain import PairedValues, RevisionRecord, SeriesInfo
from tracker.errors import UsageError
from tracker.gate.judge import make_report
from tracker.gate.measured import gate_stored
from tracker.gate.policy import Policy
from tracker.gate.stored import judge_stored
from tracker.store import Store


def stored(name, pairs=(), base=(), head=(), better="lower", kind="timing"):
    pairs, base, head = tuple(pairs), tuple(base), tuple(head)
    series = SeriesInfo(
        id=1, project="p", benchmark=name, version="1", unit="s", better=better, kind=kind,
        params=(), param_names=(), machine="m", environment="existing", num_points=2,
    )  # fmt: skip
    return {name: PairedValues(series, tuple(range(1, len(pairs) + 1)), tuple(pairs), base, head)}


def noisy_pairs(effect, count=12, noise=0.003, seed=1):
    draw = random.Random(seed)
    return [
        (1 + draw.gauss(0, noise), (1 + effect) * (1 + draw.gauss(0, noise))) for _ in range(count)
    ]


def report_of(values, policy=None):
    policy = policy or Policy()
    return make_report(
        judge_stored(values, policy), policy, project="p", machine="m", base="b", head="h"
    )


def test_stored_pairs_are_judged_like_measured_ones():
    report = report_of(stored("a", noisy_pairs(0.1)) | stored("b", noisy_pairs(0.0, seed=2)))
    assert {row.metric: row.outcome for row in report.rows} == {"a": "regression", "b": "pass"}
    assert report.exit_code == 1


def test_another_policy_may_say_otherwise():
    report = report_of(stored("a", noisy_pairs(0.1)), Policy(margin=0.2, detect=0.4))
    assert report.exit_code == 0


def test_what_was_not_interleaved_gets_no_verdict():
    report = report_of(stored("a", base=[1.0] * 9, head=[2.0] * 9))
    assert report.exit_code == 4 and report.rows == ()
    assert "not in interleaved pairs" in report.warnings[0]


def test_a_metric_decided_early_has_fewer_pairs():
    values = stored("a", noisy_pairs(0.0, count=6)) | stored("b", noisy_pairs(0.1, count=12))
    report = report_of(values)
    assert {row.metric: row.outcome for row in report.rows} == {"a": "pass", "b": "regression"}


def test_an_empty_store_decides_nothing():
    assert report_of({}).exit_code == 4


def test_a_metric_that_runs_out_stops_no_other():
    short = stored("a", noisy_pairs(0.0, count=6, noise=0.05))
    report = report_of(short | stored("b", noisy_pairs(0.1, count=12)))
    rows = {row.metric: row for row in report.rows}
    assert (rows["a"].outcome, rows["a"].pairs) == ("inconclusive", 6)
    assert (rows["b"].outcome, rows["b"].pairs) == ("regression", 12)
    assert report.exit_code == 1


def test_rows_are_whole_pairs():
    late = stored("a", noisy_pairs(0.0, count=8))
    late = {"a": PairedValues(late["a"].series, tuple(range(3, 11)), late["a"].pairs, (), ())}
    report = report_of(late | stored("b", noisy_pairs(0.0, count=10, seed=2)))
    rows = {row.metric: row for row in report.rows}
    assert rows["a"].outcome == "inconclusive" and rows["a"].pairs == 0
    assert rows["b"].pairs == 10


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
