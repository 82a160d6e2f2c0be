"""Whatever happens in a gate, its replay from the store says the same: verdicts, word, exit code."""

import itertools
import random
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from tests.tracker.fake_lab import FakeRunner, commits, recorder
from tests.tracker.gate.fakes import BENCHMARKS, Notes
from tests.tracker.measure.toy import ToyProject
from tracker.errors import MeasurementError
from tracker.gate.limits import Limit
from tracker.gate.measured import gate_commits
from tracker.gate.policy import Policy
from tracker.gate.replay import gate_stored
from tracker.metrics import MetricRule
from tracker.store import Store, queries

ARMS = ("base", "head")
MINUTES = itertools.count()  # of all examples: the store keeps one result of a series at one time
rarely = st.sampled_from([0.0] * 6 + [0.2, 1.0])

metrics = st.fixed_dictionaries(
    {
        name: st.fixed_dictionaries(
            {
                "value": st.sampled_from([0.1, 0.1, 500.0, 0.0, -2.0]),
                "effect": st.sampled_from([0.0, 0.0, 0.02, 0.1, -0.2, -1.0]),
                "noise": st.sampled_from([0.0, 0.002, 0.002, 0.05]),
                "vanishes": st.sampled_from([999] * 8 + [0, 7]),  # launch from which it is gone
                "skipped": st.tuples(rarely, rarely),
                "failed": st.tuples(rarely, rarely),
            }
        )
        for name in BENCHMARKS
    }
)
policies = st.builds(
    lambda max_pairs, alpha, block, voteless, directed, bench, limit: Policy(
        max_pairs=max_pairs,
        alpha=alpha,
        on_inconclusive="block" if block else "pass",
        metrics=(
            *((MetricRule(voteless, vote=False),) if voteless else ()),
            *((MetricRule("mood", better="higher"),) if directed else ()),
        ),
        bench=bench,
        limits=(Limit("track_steps", limit),) if limit else (),
    ),
    st.integers(1, 14),
    st.sampled_from([0.01, 0.05]),
    st.booleans(),
    st.sampled_from([None, "ttft", "suite.A", "steps"]),
    st.booleans(),
    st.sampled_from([(), (), ("suite.A",), ("suite.B", "steps")]),
    st.sampled_from([None, 0.05]),
)
# By number of the launch: Ctrl-C, the death of the process (resumed by another), a failed launch.
interruptions = st.dictionaries(
    st.integers(0, 20), st.sampled_from(["ctrl-c", "dies", "fails"]), max_size=2
)


class ProcessGoneError(Exception):
    """What no code of the gate catches."""


class EventfulRunner(FakeRunner):
    def __init__(self, root, head, facts, events, seed):
        super().__init__(root, self._values)
        self._head, self._facts, self._events = head, facts, events
        self._draw = random.Random(seed)
        self._count = 0
        self._minutes = MINUTES

    def _values(self, commit, _source):
        arm = ARMS.index("head" if commit == self._head else "base")
        return {
            name: fact["value"] * (1 + arm * fact["effect"]) + self._draw.gauss(0, fact["noise"])
            if BENCHMARKS[name].kind != "exact"
            else fact["value"] * (1 + arm * fact["effect"])
            for name, fact in self._facts.items()
        }

    def launch(self, commit, *, bench=None):
        number, self._count = self._count, self._count + 1
        event_ = self._events.pop(number, None)
        if event_ == "ctrl-c":
            raise KeyboardInterrupt
        if event_ == "dies":
            raise ProcessGoneError
        if event_ == "fails":
            raise MeasurementError("out of memory")
        result = super().launch(commit, bench=bench)
        arm = ARMS.index("head" if commit == self._head else "base")
        kept = []
        for m in result.file.measurements:
            fact = self._facts[m.benchmark]
            if number >= fact["vanishes"]:
                continue
            for status in ("skipped", "failed"):
                if self._draw.random() < fact[status][arm]:
                    m = replace(m, status=status, value=None)
            kept.append(m)
        if not kept:  # as every runner does: nothing of the launch would be stored
            raise MeasurementError("no benchmark ran")
        return replace(result, file=replace(result.file, measurements=tuple(kept)))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    toy = ToyProject(tmp_path_factory.mktemp("project") / "toy")
    toy.commit("base")
    toy.commit("head", STEPS=2)
    with Store.open(f"sqlite:///{tmp_path_factory.mktemp('store')}/store.db") as store:
        yield store, toy.root, *commits(toy.root, "HEAD~1"), *commits(toy.root, "HEAD")


def facts_of(report):
    return {
        "outcome": report.outcome,
        "exit code": report.exit_code,
        "headline": report.headline,
        "invalid": report.invalid,
        "missing": report.missing,
        "pairs": report.pairs,
        "rows": {row.metric: row for row in report.rows},
    }


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(metrics, policies, interruptions, st.integers(0, 2**31), st.booleans())
def test_the_replay_says_what_the_gate_said(place, facts, policy, events, seed, resume):
    store, root, base, head = place
    runner = EventfulRunner(root, head.hash, facts, dict(events), seed)
    report = None
    while report is None:
        try:
            report = gate_commits(
                recorder(store, root), runner, base, head, policy,
                listener=Notes(), seed=seed, resume=resume,
            )  # fmt: skip
        except ProcessGoneError:
            continue
    event(report.outcome)
    gate = queries.get_gate(store, report.gate_id)
    if gate.exit_code is None:  # interrupted, to be gone on with
        assert resume and report.exit_code == 130
        store.finish_gate(gate.id, 4, [], 0)  # so that no other example does
        return
    assert (gate.outcome, gate.exit_code) == (report.outcome, report.exit_code)
    again = gate_stored(store, "toy", base.hash, head.hash, policy, gate_id=gate.id)
    for said, was in zip(again.rows, report.rows, strict=True):
        assert said == was
    assert facts_of(again) == facts_of(report)
