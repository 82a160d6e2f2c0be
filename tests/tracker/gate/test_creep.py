"""The creep budget: summed over stored gates, measured against the release where it runs out."""

import itertools

import pytest

from tests.tracker.fake_lab import STEPS, TTFT, FakeRunner, commits, recorder
from tests.tracker.gate.fakes import Notes
from tracker.gate.creep import with_creep
from tracker.gate.drift import chain, summed
from tracker.gate.measured import gate_commits
from tracker.gate.policy import Policy
from tracker.gate.replay import replay
from tracker.report import FORMATS, render
from tracker.store import Store, queries


class History:
    """A toy project whose commits cost what they cost; each is gated against the one before."""

    def __init__(self, store, toy):
        self.store, self.toy = store, toy
        self.cost: dict[str, dict[str, float]] = {}
        self.runner = FakeRunner(toy.root, self._measure)

    def _measure(self, commit, source):
        cost = self.cost[commit]
        return {
            TTFT: 0.1 * (1 + cost.get(TTFT, 0.0)) * (1 + source.gauss(0, 0.001)),
            STEPS: 1000.0 + cost.get(STEPS, 0.0),
        }

    def commit(self, message, **values):
        """Commit; `values` are the costs by metric against the first commit."""
        self.toy.commit(message, STEPS=len(self.cost))
        (made,) = commits(self.toy.root, "HEAD")
        self.cost[made.hash] = values
        return made

    def gate(self, base, head, *, policy=None, force=False):
        policy = policy or Policy()
        kept = recorder(self.store, self.toy.root)

        def measure(base, policy):
            return gate_commits(kept, self.runner, base, head, policy, listener=Notes(), seed=0)

        return with_creep(
            measure(base, policy), kept, self.runner, base, head, policy,
            measure=measure, force=force,
        )  # fmt: skip


@pytest.fixture
def history(tmp_path, toy):
    with Store.open(f"sqlite:///{tmp_path}/store.db") as store:
        yield History(store, toy)


def creeping(history, num, each, **more):
    """Return the reports of `num` commits after the release, each slower by `each`."""
    last = history.commit("release")
    history.toy.git("tag", "v1.0")
    reports = []
    for number in range(1, num + 1):
        head = history.commit(f"change {number}", **{TTFT: (1 + each) ** number - 1, **more})
        reports.append(history.gate(last, head))
        last = head
    return reports


def test_many_small_costs_are_seen_as_what_they_are(history):
    reports = creeping(history, 8, 0.008)
    assert all(row.outcome == "pass" for report in reports for row in report.rows)
    assert reports[0].creep is None  # the base is the release
    assert [one.creep.how for one in reports[1:3]] == ["summed", "summed"]
    blocked = reports[-1]
    assert (blocked.exit_code, blocked.creep.how) == (1, "measured")
    (drift,) = blocked.creep.over
    assert drift.metric == TTFT and drift.low < 1.008**8 - 1 < drift.high
    assert f"CREEP beyond its budget since v1.0: {TTFT}" in blocked.headline
    own = queries.get_gate(history.store, blocked.gate_id)
    assert (own.outcome, own.exit_code) == ("regression", 1)
    assert {verdict.status for verdict in own.verdicts} == {"pass"}  # the commit itself is harmless
    again = replay(history.store, own, Policy())
    assert (again.outcome, again.exit_code) == ("regression", 1)
    assert again.creep.over == blocked.creep.over
    assert replay(history.store, own, Policy(creep_budget=0.5)).outcome == "pass"
    assert queries.get_gate(history.store, blocked.creep.gate_id).exit_code == 1
    for form in FORMATS:
        assert "creep" in render(blocked, form).lower()


def test_a_budget_half_spent_is_measured_and_passes(history):
    reports = creeping(history, 4, 0.008)
    assert [one.exit_code for one in reports] == [0] * 4
    assert reports[-1].creep.how == "measured" and reports[-1].creep.over == ()
    assert any(
        "within the budget of 5.00%" in line for line in render(reports[-1], "text").split("\n")
    )


def test_nothing_that_crept_costs_no_launch(history):
    reports = creeping(history, 3, 0.0)
    assert reports[-1].creep.how == "summed"
    launches = len(history.runner.launches)
    pairs = sum(report.pairs for report in reports)
    assert launches == 2 * pairs


def test_what_was_intended_is_not_crept(history):
    last = history.commit("release")
    history.toy.git("tag", "v1.0")
    why = "Perf-expect: ttft +8% because prompts are checked"
    dear = history.commit(f"dear\n\n{why}", **{TTFT: 0.08})
    assert history.gate(last, dear).exit_code == 0
    head = history.commit("cheap", **{TTFT: 0.081})
    report = history.gate(dear, head)
    assert (report.exit_code, report.creep.how) == (0, "summed")
    assert abs(report.creep.drifts[0].effect) < 0.01
    forced = history.gate(dear, head, force=True)
    assert (forced.exit_code, forced.creep.how, forced.creep.over) == (0, "measured", ())
    net = {drift.metric: drift for drift in forced.creep.drifts}[TTFT]
    assert abs(net.effect) < 0.01 and net.low < 0.002 < net.high


def test_an_exact_metric_may_creep_within_the_budget(history):
    creeping(history, 1, 0.0)
    same = history.commit("same", **{STEPS: 0.0})
    little, much = (history.commit(f"{n} steps", **{STEPS: float(n)}) for n in (40, 60))
    history.cost[same.hash] = {STEPS: 40.0}
    assert history.gate(same, little, force=True).exit_code == 0
    history.cost[same.hash] = {STEPS: 60.0}
    report = history.gate(same, much, force=True)
    assert report.exit_code == 1 and report.creep.over[0].metric == STEPS


def test_without_a_chain_it_is_not_known_and_costs_nothing(history):
    history.commit("release")
    history.toy.git("tag", "v1.0")
    base, head = history.commit("one"), history.commit("two")
    report = history.gate(base, head)
    assert report.creep.how == "unknown" and "--creep measures it" in report.creep.note
    assert report.exit_code == 0 and len(history.runner.launches) == 2 * report.pairs


@pytest.mark.parametrize("tag", [None, "nightly"])
def test_without_a_release_tag_there_is_no_budget(history, tag):
    history.commit("first")
    if tag:
        history.toy.git("tag", tag)
    base, head = history.commit("one"), history.commit("two")
    assert history.gate(base, head, force=True).creep is None
    named = history.gate(base, head, policy=Policy(creep_against="night*"))
    assert (named.creep is None) == (tag is None)


def test_an_aa_gate_and_one_that_blocks_anyway_look_at_no_release(history):
    history.commit("release")
    history.toy.git("tag", "v1.0")
    base = history.commit("one")
    slow = history.commit("slow", **{TTFT: 0.2})
    assert history.gate(base, base, force=True).creep is None
    report = history.gate(base, slow, force=True)
    assert (report.exit_code, report.creep) == (1, None)


def test_the_chain_is_the_shortest_and_may_pass_over_equal_trees(history):
    creeping(history, 3, 0.0)
    gates = queries.list_gates(history.store, "toy")
    trees = {commit: commit for gate in gates for commit in (gate.base.commit, gate.head.commit)}
    ends = gates[-1].base.commit, gates[0].head.commit
    assert [one.id for one in chain(gates, trees, *ends)] == [one.id for one in gates[::-1]]
    assert chain(gates, trees, ends[1], ends[0]) is None
    assert chain(gates, trees, ends[0], "elsewhere") is None
    merged = trees | {"merge": trees[gates[1].base.commit]}  # squashed: the same content
    assert len(chain(gates, merged, ends[0], "merge")) == 1
    short = itertools.chain(gates, [gates[0]])
    assert len(chain(list(short), merged | {ends[1]: "end"}, ends[0], ends[1])) == 3


def test_effects_multiply_and_errors_add_in_quadrature(history):
    creeping(history, 3, 0.004)
    gates = queries.list_gates(history.store, "toy")[::-1]
    (drift,) = summed(gates, {TTFT: 0.05})
    parts = [next(v for v in gate.verdicts if v.metric == TTFT) for gate in gates]
    product = 1.0
    for part in parts:
        product *= 1 + part.effect
    assert drift.effect == pytest.approx(product - 1)
    widths = [part.high - part.low for part in parts]
    assert max(widths) < drift.high - drift.low < sum(widths)
    assert summed(gates, {"nonesuch": 0.05}) == []
