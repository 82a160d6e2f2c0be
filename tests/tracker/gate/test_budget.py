"""A budget counts what a gate spends, not how long it waits for the machine."""

import itertools
import json

import pytest

from tests.tracker.fake_lab import TTFT, FakeRunner, commits, recorder
from tests.tracker.gate.fakes import Notes
from tracker.calibrate import calibrate
from tracker.gate.measured import gate_commits
from tracker.gate.policy import Policy
from tracker.gate.replay import replay
from tracker.measure import launch as launches
from tracker.report import render
from tracker.store import Store, queries

LAUNCH, WAIT = 10.0, 1000.0


class BusyMachine(FakeRunner):
    """A launch takes 10 s; before the second one another measurement has the machine for 1000 s."""

    def __init__(self, root, monkeypatch):
        self.now = 0.0
        self.waited = 0.0
        numbers = itertools.count(1)

        def measure(commit, source):
            if next(numbers) == 2:
                self.now += WAIT
                self.waited += WAIT
            self.now += LAUNCH
            return {TTFT: 0.1 * (1 + source.gauss(0, 0.05))}

        super().__init__(root, measure)
        monkeypatch.setattr(launches.time, "monotonic", lambda: self.now)


@pytest.fixture
def lab(tmp_path, toy, monkeypatch):
    toy.commit("one")
    toy.commit("two")
    with Store.open(f"sqlite:///{tmp_path}/store.db") as store:
        runner = BusyMachine(toy.root, monkeypatch)
        yield recorder(store, toy.root), runner, *commits(toy.root, "HEAD~1..HEAD")


def test_a_gate_that_waits_measures_as_many_pairs_and_says_that_it_waited(lab):
    kept, runner, head = lab
    report = gate_commits(kept, runner, head, head, Policy(budget=70), listener=Notes())
    assert (report.pairs, report.stopped) == (3, "the budget of 70 s is spent")
    assert (report.seconds, report.waited) == (60.0, WAIT)
    for form in ("text", "markdown", "html"):
        assert "1 min 00 s after waiting 16 min 40 s for the machine" in render(report, form)
    assert json.loads(render(report, "json"))["waited"] == WAIT
    gate = queries.get_gate(kept.store, report.gate_id)
    assert replay(kept.store, gate, Policy(budget=70)).waited == WAIT


def test_a_calibration_does_not_count_the_wait(lab):
    kept, runner, head = lab
    policy = Policy(max_pairs=1)
    result = calibrate(kept, runner, head, policy, gates=9, budget=70, listener=Notes())
    assert (len(result.gates), result.stopped) == (3, "the budget of 70 s is spent")
