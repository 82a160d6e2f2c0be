"""Noisy bisection: which commit between a good and a bad one brought the regression.

Every step is a short gate of one commit against the good one, so that each pair is checked for
validity and in the store before the next begins; the same call later goes on from what is there.
"""

from __future__ import annotations

import math
import random
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Literal, NamedTuple

import numpy as np

from tracker.domain import (
    VALID_EXIT_CODES,
    BenchmarkInfo,
    GateInfo,
    PairedValues,
    SeriesInfo,
    VerdictInfo,
)
from tracker.errors import UsageError, did_you_mean
from tracker.gate.control import controls_of
from tracker.gate.listener import Listener
from tracker.gate.measured import gate_commits
from tracker.gate.policy import MetricRule, Policy
from tracker.gate.stored import stored_controls
from tracker.measure.git import Commit
from tracker.measure.launch import Runner
from tracker.measure.recorder import Recorder
from tracker.report import Report
from tracker.stats.bisection import Bisection, Group, Misfit, exact_step, noisy_step
from tracker.stats.contrasts import PairValues
from tracker.store import Store, queries

__all__ = ["Bisected", "CommitSeen", "Outcome", "bisect"]

Outcome = Literal["named", "group", "undecided", "several", "no regression", "invalid"]

_BLOCK = 2  # pairs a step: each commit goes first once


@dataclass(frozen=True, slots=True)
class CommitSeen:
    """One commit of the range and what is known of it.

    Attributes:
        commit: Which.
        probability: That it is the first bad one.
        pairs: Measured of it against the good commit.
        effect: Mean of head/base - 1 over them, signed as measured; None without pairs or where
            a zero makes a ratio meaningless.
        skipped: Why it could not be measured, or None.
    """

    commit: Commit
    probability: float
    pairs: int
    effect: float | None
    skipped: str | None


@dataclass(slots=True)
class Bisected:
    """What a bisection found.

    Attributes:
        project: Its name.
        machine: Where it was measured.
        good: The commit known to be good.
        commits: Of the range, oldest first; the last is the bad one.
        confidence: Probability at which a culprit is named.
        metric: The metric, or empty where none regressed.
        outcome: "named": one commit; "group": some that cannot be told apart, since those between
            them cannot be measured; "several": more than one change; "undecided"; "no
            regression": nothing to look for; "invalid": good against bad gave no comparison.
        culprits: The commit or the group.
        probability: Of the culprits.
        seen: Each commit of the range; empty where nothing was bisected.
        misfit: What speaks against a single step.
        note: Why there is no regression, or why it is invalid.
        pairs: Measured in all, those of good against bad included.
        stopped: Why no more were measured.
        interrupted: Whether somebody pressed Ctrl-C.
    """

    project: str
    machine: str
    good: Commit
    commits: Sequence[Commit]
    confidence: float
    metric: str = ""
    outcome: Outcome = "undecided"
    culprits: tuple[Commit, ...] = ()
    probability: float = 0.0
    seen: list[CommitSeen] = field(default_factory=list)
    misfit: Misfit | None = None
    note: str = ""
    pairs: int = 0
    stopped: str = ""
    interrupted: bool = False

    @property
    def bad(self) -> Commit:
        return self.commits[-1]

    @property
    def candidates(self) -> list[CommitSeen]:
        """The likeliest commits that together reach the confidence, likeliest first."""
        ranked = sorted(self.seen, key=lambda one: -one.probability)
        kept: list[CommitSeen] = []
        while ranked and sum(one.probability for one in kept) < self.confidence:
            kept.append(ranked.pop(0))
        return kept

    @property
    def exit_code(self) -> int:
        """0 one commit named, 3 none can be, 4 nothing valid measured, 130 interrupted."""
        if self.interrupted:
            return 130
        if self.outcome == "invalid":
            return 4
        return 0 if self.outcome == "named" else 3


def bisect(
    recorder: Recorder,
    runner: Runner,
    good: Commit,
    commits: Sequence[Commit],
    policy: Policy,
    *,
    metric: str | None = None,
    confidence: float = 0.95,
    max_pairs: int = 200,
    budget: float | None = None,
    fresh: bool = False,
    listener: Listener,
    on_step: Callable[[Bisected, Commit], None] = lambda found, commit: None,
    clock: Callable[[], float] = time.monotonic,
) -> Bisected:
    """Find the commit that made `metric` worse.

    Valid pairs of the good commit against any of the range that the store has from this machine
    count, and so do commits that could not be measured.

    Args:
        recorder: Of the project in the store.
        runner: Measures one commit.
        good: Known to be good.
        commits: After it up to the bad one, oldest first.
        policy: The project's; decides what a regression is.
        metric: Its name, or the end of it; else the worst voting regression of good against bad.
        confidence: Name a culprit at this probability; in (0.5, 1).
        max_pairs: Measure no more than these after good against bad.
        budget: Seconds; no step is begun that would probably end later. None: no limit.
        fresh: Count nothing that the store has already.
        listener: Told what happens inside each gate.
        on_step: Called before each step with what is known and the commit it will measure.
        clock: Seconds, monotonic.

    Raises:
        UsageError: No commits, a confidence out of range, or a metric that was not measured.
        StoreError: The store failed.
    """
    if not commits:
        raise UsageError("the range is empty; are GOOD and BAD the wrong way round?")
    if not 0.5 < confidence < 1:
        raise UsageError(f"confidence {confidence:g} must lie between 0.5 and 1")
    recorder.commits([good, *commits])
    found = Bisected(recorder.project, runner.machine, good, commits, confidence)
    memory = _Memory(recorder.store, found, fresh)
    started = clock()
    seeds = random.SystemRandom()

    def measure(head: Commit, judged_by: Policy) -> Report:
        return gate_commits(
            recorder, runner, good, head, judged_by,
            listener=listener, seed=seeds.randrange(2**31), resume=not fresh,
        )  # fmt: skip

    target = next(
        filter(None, (_regression(g, policy, metric) for g in memory.valid(found.bad))), None
    )
    if target is None:
        report = measure(found.bad, policy)
        if report.stopped == "interrupted":
            found.interrupted, found.stopped = True, "interrupted"
            return found
        if report.exit_code not in VALID_EXIT_CODES:
            found.outcome, found.note = "invalid", report.headline
            return found
        newest = memory.valid(found.bad)[0]
        target = _regression(newest, policy, metric)
        if target is None:
            found.outcome, found.note = "no regression", _no_regression(newest, metric)
            return found
    found.metric = target.metric
    search = _Search(found, memory, target)
    if not search.shows_regression():
        found.outcome = "no regression"
        found.note = "all pairs in the store together do not show it; --fresh counts new ones only"
        return found
    probe = _probe_policy(policy, search.benchmark, target.metric)
    measured, longest = 0, 0.0
    while not found.stopped:
        if max(group.probability for group in search.groups()) >= confidence:
            found.stopped = f"a probability of {confidence:.0%} is reached"
            break
        number = search.bisection.next()
        if number is None:
            found.stopped = "no measurement would tell more"
        elif measured >= max_pairs:
            found.stopped = f"{max_pairs} pairs are measured"
        elif budget is not None and clock() - started + longest > budget:
            found.stopped = f"the budget of {budget:g} s is spent"
        else:
            head = commits[number - 1]
            search.describe()
            on_step(found, head)
            before = clock()
            report = measure(head, probe)
            longest = max(longest, clock() - before)
            if report.stopped == "interrupted":
                found.interrupted, found.stopped = True, "interrupted"
            elif report.exit_code in VALID_EXIT_CODES:
                measured += report.pairs
                search.learn(number)
            else:
                search.skip(number, "; ".join(report.invalid))
    search.conclude(policy)
    return found


class _Pair(NamedTuple):
    """A valid pair of the good commit and another: the metric's values, its control's times."""

    base: float
    head: float
    controls: Mapping[str, tuple[float, float]]


class _Memory:
    """What the store holds of the good commit against others, on this machine."""

    def __init__(self, store: Store, found: Bisected, fresh: bool) -> None:
        self._store = store
        self._found = found
        self._forgotten: set[str] = set()
        if fresh:
            self._forgotten = {gate.id for one in found.commits for gate in self._gates(one)}

    def valid(self, head: Commit) -> list[GateInfo]:
        """Gates of `head` with a valid measurement, newest first."""
        return [gate for gate in self._gates(head) if gate.exit_code in VALID_EXIT_CODES]

    def series(self, head: Commit, metric: str) -> SeriesInfo:
        """The series of `metric` in a gate that judged it."""
        *_, (newest, _) = self._values(head, metric)
        return newest.series

    def pairs(self, head: Commit, metric: str) -> list[_Pair]:
        """Pairs of `metric` in the valid gates of `head`, oldest first, with the control's times."""
        listed = []
        for values, gate in self._values(head, metric):
            times = stored_controls(self._store, self._found.project, gate.id)
            for number, (base, after) in zip(values.numbers, values.pairs, strict=True):
                own = controls_of({metric: values.series.benchmark}, times.get(number, {}))
                listed.append(_Pair(base, after, own.get(metric, {})))
        return listed

    def _values(self, head: Commit, metric: str) -> Iterator[tuple[PairedValues, GateInfo]]:
        for gate in reversed(self.valid(head)):
            values = queries.paired_values(
                self._store, self._found.project, self._found.good.hash, head.hash,
                gate_id=gate.id, machine=self._found.machine,
            )  # fmt: skip
            if metric in values and values[metric].pairs:
                yield values[metric], gate

    def failed(self, head: Commit) -> bool:
        """Whether the newest finished gate of `head` was invalid."""
        ended = [gate for gate in self._gates(head) if gate.exit_code is not None]
        return bool(ended) and ended[0].exit_code not in VALID_EXIT_CODES

    def _gates(self, head: Commit) -> list[GateInfo]:
        """Newest first."""
        listed = queries.gates_between(
            self._store, self._found.project, self._found.good.hash, head.hash
        )
        return [
            gate
            for gate in listed
            if gate.machine == self._found.machine and gate.id not in self._forgotten
        ]


class _Search:
    """The bisection of one metric, fed from the store."""

    def __init__(self, found: Bisected, memory: _Memory, target: VerdictInfo) -> None:
        self._found = found
        self._memory = memory
        self._reasons: dict[int, str] = {}
        last = len(found.commits)
        series = memory.series(found.bad, target.metric)
        self.benchmark = series.benchmark
        self._sign = -1.0 if target.better == "higher" else 1.0
        self._exact = target.kind == "exact"
        self.bisection = Bisection(last, exact_step(series.step) if self._exact else noisy_step)
        self._pairs: dict[int, list[_Pair]] = {}
        for number in range(1, last + 1):
            self._recall(number)
            head = found.commits[number - 1]
            if number < last and not self._pairs[number] and memory.failed(head):
                self.skip(number, "could not be measured earlier; --fresh tries again")
        self._observe()

    def learn(self, number: int) -> None:
        """Take what the store has of a commit; without a value it cannot be measured."""
        self._recall(number)
        self._observe()

    def _recall(self, number: int) -> None:
        pairs = self._memory.pairs(self._found.commits[number - 1], self._found.metric)
        self._pairs[number] = pairs

    def _observe(self) -> None:
        """Show the bisection all pairs: what a control explains is learned from all of them."""
        numbered = [(number, pair) for number, pairs in self._pairs.items() for pair in pairs]
        self._found.pairs = len(numbered)
        self.bisection.observed.clear()
        for (number, _), worse in zip(numbered, self._worse([p for _, p in numbered]), strict=True):
            self.bisection.observe(number, worse)

    def _worse(self, pairs: Sequence[_Pair]) -> list[float]:
        """By how much the head of each pair is worse: a difference if exact, else a log ratio."""
        if self._exact:
            return [self._sign * (pair.head - pair.base) for pair in pairs]
        metric = self._found.metric
        values = PairValues({metric: self._sign > 0}, np.zeros(1), np.zeros(1))
        for pair in pairs:
            values.add({metric: (pair.base, pair.head)}, {metric: pair.controls})
        return values.contrasts().values(0).tolist() if pairs else []

    def _effect(self, number: int) -> float | None:
        """Mean of head/base - 1 over a commit's pairs; None where there is none."""
        if not self._exact:
            worse = self.bisection.observed.get(number, ())
            return _mean([math.expm1(self._sign * one) for one in worse])
        return _mean([one.head / one.base - 1 for one in self._pairs[number] if one.base > 0])

    def shows_regression(self) -> bool:
        """Whether the pairs of the bad commit, of all gates that count, lie on the worse side."""
        return self._exact or median(self.bisection.observed[len(self._found.commits)]) > 0

    def skip(self, number: int, reason: str) -> None:
        self.bisection.skip(number)
        self._reasons[number] = reason

    def groups(self) -> list[Group]:
        """The candidates; one group of them all where no single step is possible."""
        try:
            return self.bisection.groups()
        except ValueError:
            every = tuple(range(1, len(self._found.commits) + 1))
            return [Group(every, 1.0)]

    def describe(self) -> None:
        """Bring what is told of each commit up to date."""
        try:
            posterior = [float(one) for one in self.bisection.posterior()]
        except ValueError:
            posterior = [math.nan] * len(self._found.commits)
        self._found.seen = [
            CommitSeen(
                commit=commit,
                probability=posterior[number - 1],
                pairs=len(self.bisection.observed.get(number, ())),
                effect=self._effect(number),
                skipped=self._reasons.get(number),
            )
            for number, commit in enumerate(self._found.commits, start=1)
        ]

    def conclude(self, policy: Policy) -> None:
        found = self._found
        self.describe()
        try:
            groups = self.bisection.groups()
        except ValueError:
            found.outcome, found.note = "several", "the exact values go back and forth"
            return
        best = max(groups, key=lambda group: group.probability)
        found.probability = best.probability
        found.culprits = tuple(found.commits[number - 1] for number in best.numbers)
        if not self._exact:
            found.misfit = self.bisection.misfit(math.log1p(policy.margin))
        if found.misfit is not None:
            found.outcome = "several"
        elif best.probability >= found.confidence:
            found.outcome = "named" if len(best.numbers) == 1 else "group"


def _regression(gate: GateInfo, policy: Policy, metric: str | None) -> VerdictInfo | None:
    """The worst regression of the gate: of those that vote, or of those that `metric` names."""

    def wanted(verdict: VerdictInfo) -> bool:
        if metric is not None:
            return _names(metric, verdict.metric)
        info = BenchmarkInfo(
            verdict.metric, "", "", verdict.unit, verdict.better, verdict.kind, step=0.0
        )
        return policy.metric(verdict.metric, info).vote

    worse = [v for v in gate.verdicts if v.status == "regression" and wanted(v)]
    return max(worse, key=_size, default=None)


def _size(verdict: VerdictInfo) -> float:
    """How far a metric moved, as a log ratio; without end where a zero is involved."""
    if verdict.effect is None or verdict.effect <= -1:
        return math.inf
    return abs(math.log1p(verdict.effect))


def _names(wanted: str, metric: str) -> bool:
    return metric == wanted or metric.endswith((f".{wanted}", f"_{wanted}"))


def _no_regression(gate: GateInfo, metric: str | None) -> str:
    """Why there is nothing to bisect.

    Raises:
        UsageError: The gate did not judge `metric`.
    """
    judged = {verdict.metric: verdict for verdict in gate.verdicts}
    if metric is None:
        undecided = sum(verdict.status == "inconclusive" for verdict in judged.values())
        return f"of {len(judged)} metrics none that votes got worse, {undecided} are undecided"
    ours = [verdict for name, verdict in judged.items() if _names(metric, name)]
    if not ours:
        mend = did_you_mean(metric, [name.rpartition(".")[2] for name in judged])
        raise UsageError(f"no metric {metric!r} was judged; {mend}")
    return "; ".join(f"{one.metric}: {one.status}, {one.reason}" for one in ours)


def _probe_policy(policy: Policy, benchmark: str, metric: str) -> Policy:
    """A gate of one block of pairs that measures one benchmark and decides nothing by itself."""
    return replace(
        policy,
        bench=(f"^{re.escape(benchmark)}($|\\()",),
        max_pairs=_BLOCK,
        budget=None,
        limits=(),
        metrics=(*policy.metrics, MetricRule(f"^{re.escape(metric)}$", vote=True)),
    )


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
