"""Pairs during which the node moved: dropped by the control alone, alike in both arms."""

import dataclasses
import math
import random

import pytest

from tests.tracker.gate.fakes import BASE, HEAD, Lab, Notes
from tests.tracker.store.values import BENCHMARKS, commit, committed_at, file_of, measurement
from tracker.domain import Fingerprint, GateLaunch, Launch, RevisionRecord
from tracker.gate.assembly import make_report
from tracker.gate.control import (
    LEAST_DIFFERENCE,
    LEAST_PAIRS,
    REMEMBERED_PAIRS,
    ControlWatch,
    control_difference,
    control_times,
)
from tracker.gate.policy import Policy
from tracker.gate.session import Session
from tracker.gate.stored import known_control
from tracker.store import Store


def launch(gemm, copy=1.0, *, after=None, scenario="suite.A"):
    sides = {"before": {"gemm": gemm, "copy": copy}, "after": after or {"gemm": gemm, "copy": copy}}
    return Launch("p", "d", "id", scenario, Fingerprint(), {"control": sides})


def between(base, head):
    return control_difference(control_times(base, head))


def complaints(watch, base, head):
    return watch.complaints(control_times(base, head))


def test_the_difference_is_the_largest_over_scenarios_and_parts():
    base = [launch(1.0, scenario="a"), launch(1.0, scenario="b")]
    head = [launch(1.02, scenario="a"), launch(1.0, 0.9, scenario="b")]
    assert between(base, head) == pytest.approx(0.10536, abs=1e-5)
    assert between(head, base) == between(base, head)
    moved = launch(1.0, after={"gemm": 1.21, "copy": 1.0})  # in the middle of the launch
    assert between([launch(1.0)], [moved]) == pytest.approx(0.0953, abs=1e-4)


@pytest.mark.parametrize("control", [None, {}, {"before": {"gemm": 0}}, {"before": "soon"}, 7])
def test_a_launch_without_control_times_has_no_difference(control):
    other = Launch("p", "d", "id", "suite.A", Fingerprint(), {"control": control})
    assert between([other], [launch(1.0)]) is None
    assert complaints(ControlWatch([0.001] * 20), [other], [launch(9.0)]) == []


def test_nothing_is_dropped_before_enough_is_known():
    watch = ControlWatch([0.001] * (LEAST_PAIRS - 1))
    assert complaints(watch, [launch(1.0)], [launch(2.0)]) == []
    (complaint,) = complaints(watch, [launch(2.0)], [launch(1.0)])
    assert "differs by 100.0%" in complaint.text and not complaint.persists


def test_a_quiet_machine_still_gets_the_floor():
    watch = ControlWatch([0.0] * 20)
    assert watch.usual == LEAST_DIFFERENCE
    assert complaints(watch, [launch(1.0)], [launch(1.0 + 0.9 * LEAST_DIFFERENCE)]) == []
    assert complaints(watch, [launch(1.0)], [launch(1.0 + 1.1 * LEAST_DIFFERENCE)])


def test_a_launch_of_the_store_counts_like_one_just_measured():
    stored = GateLaunch("g", 1, "base", "suite.A", launch(1.0).header)
    assert between([stored], [launch(1.1)]) == pytest.approx(0.0953, abs=1e-4)


@pytest.mark.parametrize("shape", ["normal", "heavy", "two states", "settles"])
def test_a_machine_that_always_wobbles_keeps_most_pairs(shape):
    draw = random.Random(4)
    spread = {
        "normal": lambda _: draw.gauss(0, 0.2),
        "heavy": lambda _: 0.02 * draw.gauss(0, 1) / max(abs(draw.gauss(0, 1)), 1e-3),
        "two states": lambda _: draw.gauss(0, 0.01) + (0.5 if draw.random() < 0.3 else 0.0),
        "settles": lambda n: draw.gauss(0, 0.005 if n < 300 else 0.1),
    }[shape]
    watch = ControlWatch()
    dropped = sum(
        bool(complaints(watch, [launch(2.0 ** spread(n))], [launch(2.0 ** spread(n))]))
        for n in range(600)
    )
    assert dropped <= 0.25 * 600


def test_a_node_that_changed_for_good_is_learned():
    watch = ControlWatch([0.001] * REMEMBERED_PAIRS)
    told = [bool(complaints(watch, [launch(1.0)], [launch(1.2)])) for _ in range(REMEMBERED_PAIRS)]
    assert told[0] and not told[-1]
    assert sum(told) <= REMEMBERED_PAIRS // 2


def test_the_rule_favours_neither_commit():
    draw = random.Random(8)
    watch, mirrored = ControlWatch(), ControlWatch()
    for _ in range(300):
        one, other = (launch(2.0 ** draw.gauss(0, 0.1 + 0.3 * (draw.random() < 0.1))) for _ in "ab")
        assert bool(complaints(watch, [one], [other])) == bool(complaints(mirrored, [other], [one]))


class Node(Lab):
    """A lab whose node is twice as slow during the launches named; the control says so."""

    slow = frozenset()

    def __call__(self, commit, arm, bench):
        factor = 2.0 if len(self.calls) in self.slow else 1.0
        result = super().__call__(commit, arm, bench)
        (told,) = result.launches
        header = told.header | launch(factor).header
        values = [
            dataclasses.replace(m, value=m.value * factor) if "ttft" in m.benchmark else m
            for m in result.file.measurements
        ]
        return dataclasses.replace(
            result,
            launches=(dataclasses.replace(told, header=header),),
            file=dataclasses.replace(result.file, measurements=tuple(values)),
        )


def test_a_moved_node_is_dropped_in_both_arms_and_never_makes_the_gate_invalid():
    lab, notes = Node(), Notes()
    lab.slow = frozenset({1, 4, 9, 12})
    watch = ControlWatch([0.001] * REMEMBERED_PAIRS)
    policy = Policy()
    session = Session(lab, BASE, HEAD, policy, listener=notes, control=watch)
    session.run()
    report = make_report(
        session.judge, session.course, project="toy", machine="m", base=BASE, head=HEAD
    )
    assert report.exit_code == 0
    assert session.course.dropped == session.course.moved == len(notes.dropped) == 4
    assert all(0.9 < base / head < 1.1 for base, head in session.judge.points["suite.A.track_ttft"])
    assert any("the machine's speed changed during" in warning for warning in report.warnings)


def test_what_is_usual_is_remembered_from_gate_to_gate(tmp_path):
    with Store.open(f"sqlite:///{tmp_path}/store.db") as store:
        revisions = [RevisionRecord(commit(number), committed_at(number)) for number in (1, 2)]
        store.record_revisions("p", revisions)
        gate = store.begin_gate("p", base=commit(1), head=commit(2), machine="box", policy={})
        for number in range(1, LEAST_PAIRS + 2):
            for arm, which, factor in (("base", 1, 1.0), ("head", 2, 1.0 + number / 100)):
                one = measurement(1.0, number=which, minute=number)
                header = launch(factor).header | {"arm": arm}
                made = Launch("p", f"{number}{arm}", "id", "suite.A", Fingerprint(), header)
                store.record_file(
                    "p", file_of(which, one), benchmarks=BENCHMARKS, source="gate",
                    launches=[made], gate_id=gate, pair=number, arm=arm,
                )  # fmt: skip
        watch = known_control(store, "p", "box")
        assert watch.usual == pytest.approx(5 * 1.4826 * math.log(1.05), rel=1e-6)
        assert known_control(store, "p", "another").usual == math.inf
