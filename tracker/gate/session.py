"""The gate's loop: interleaved pairs of launches until every metric is decided.

The loop knows no asv and no store: it is given a function that measures one launch, and tells a
listener what happens. So it can be driven by a test, by `tracker gate` and by a calibration.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tracker.domain import Arm, BenchmarkInfo, Fingerprint, metric_name
from tracker.errors import MeasurementError
from tracker.gate.policy import MetricPolicy, Policy
from tracker.gate.validity import Complaint, WorkSeen, pair_complaints
from tracker.measure.asv import LaunchResult
from tracker.stats import PairedGate, Verdict

__all__ = ["GateResult", "Judged", "Listener", "PairOrder", "Session"]

Measure = Callable[[str, Arm, Sequence[str]], LaunchResult]

# Pairs attempted before the share of dropped ones is looked at.
_ENOUGH_ATTEMPTS = 6


@dataclass(frozen=True, slots=True)
class Judged:
    """A metric that is measured in both commits, and how it is judged."""

    name: str
    benchmark: BenchmarkInfo
    policy: MetricPolicy
    obstacle: str = ""  # why it cannot be judged though it has a direction

    @property
    def votes(self) -> bool:
        return self.policy.vote and self.policy.better is not None and not self.obstacle

    @property
    def watched(self) -> bool:
        """Whether it gets a verdict at all, voting or not."""
        return self.policy.better is not None and not self.obstacle


@dataclass(slots=True)
class GateResult:
    """What a session found, before anybody calls it a pass.

    Attributes:
        judged: Metrics measured in both commits.
        verdicts: By metric, of those that are watched.
        values: By metric, (base, head) of every valid pair that carried it.
        not_measured: (metric, where it is missing, reason).
        warnings: Sentences.
        invalid: Why the measurement decides nothing; empty when it is valid.
        stopped: Why no more pairs were measured.
        pairs: Valid pairs.
        dropped: Pairs dropped.
        seconds: Wall time.
        seed: Of the order of launches.
        interrupted: Whether somebody pressed Ctrl-C.
    """

    judged: dict[str, Judged] = field(default_factory=dict)
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    values: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    not_measured: list[tuple[str, str, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    invalid: list[str] = field(default_factory=list)
    stopped: str = ""
    pairs: int = 0
    dropped: int = 0
    seconds: float = 0.0
    seed: int = 0
    interrupted: bool = False


class Listener(Protocol):
    """Is told what the loop does, in order."""

    def launching(self, pair: int, arm: Arm, bench: Sequence[str]) -> None: ...

    def launched(self, result: LaunchResult, pair: int | None, arm: Arm) -> None:
        """A launch is done; `pair` is None if it belongs to no valid pair."""

    def pair_done(
        self, pairs: int, verdicts: Mapping[str, Verdict], pending: frozenset[str], seconds: float
    ) -> None: ...

    def pair_dropped(self, complaints: Sequence[Complaint]) -> None: ...


class PairOrder:
    """The order of launches: ABBA or BAAB, drawn anew every two pairs.

    Within two pairs each commit goes first once, so that a steady drift cancels; which begins is
    random, so that nothing periodic can hide in it.
    """

    def __init__(self, seed: int) -> None:
        self._draws = self._blocks(random.Random(seed))

    def __next__(self) -> tuple[Arm, Arm]:
        return next(self._draws)

    @staticmethod
    def _blocks(source: random.Random) -> Iterator[tuple[Arm, Arm]]:
        forward: tuple[Arm, Arm] = ("base", "head")
        backward: tuple[Arm, Arm] = ("head", "base")
        while True:
            first = source.random() < 0.5
            yield forward if first else backward
            yield backward if first else forward


class Session:
    """Measures interleaved pairs of two commits until the policy's gate is decided.

    Args:
        measure: Measures one launch: commit, arm, benchmark patterns (empty: the project's own).
        base: Full hash.
        head: Full hash; may equal `base`.
        policy: How strictly to judge.
        seed: Of the order of launches.
        fail_fast: Stop at the first voting regression, not at the next look of the others.
        listener: Told what happens.
        clock: Seconds, monotonic.
    """

    def __init__(
        self,
        measure: Measure,
        base: str,
        head: str,
        policy: Policy,
        *,
        listener: Listener,
        seed: int = 0,
        fail_fast: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._measure = measure
        self._commit: dict[Arm, str] = {"base": base, "head": head}
        self._policy = policy
        self._listener = listener
        self._fail_fast = fail_fast
        self._clock = clock
        self._order = PairOrder(seed)
        self._seen = WorkSeen()
        self._environment: dict[str, Fingerprint] = {}
        self._last_complaints: set[tuple[str, tuple[str, ...]]] = set()
        self._gate: PairedGate | None = None  # what votes
        self._watch: PairedGate | None = None  # what is judged without a vote
        self._result = GateResult(seed=seed)
        self._benchmarks: dict[str, str] = {}  # metric -> asv's name

    def run(self) -> GateResult:
        """Measure until decided, out of pairs or budget, invalid or interrupted.

        Ctrl-C ends the loop; what was measured until then is returned.
        """
        result = self._result
        started = self._clock()
        try:
            while not result.stopped:
                before = self._clock()
                self._one_pair(before - started)
                if not result.stopped:
                    now = self._clock()
                    self._check_budget(now - started, now - before)
        except KeyboardInterrupt:
            result.interrupted = True
            result.stopped = "interrupted"
        result.seconds = self._clock() - started
        for gate in (self._gate, self._watch):
            if gate is not None:
                result.verdicts.update(gate.verdicts())
        if self._seen.unsteady():
            result.warnings.append(
                "the base's own tokens vary between launches, so they were not compared: "
                + ", ".join(self._seen.unsteady())
            )
        return result

    def _one_pair(self, elapsed: float) -> None:
        result = self._result
        measured: dict[Arm, LaunchResult] = {}
        complaints: list[Complaint] = []
        bench = self._patterns()
        try:
            for arm in next(self._order):
                self._listener.launching(result.pairs + 1, arm, bench)
                try:
                    measured[arm] = self._measure(self._commit[arm], arm, bench)
                except MeasurementError as error:
                    text = f"{arm} cannot be measured: {error}"
                    complaints = [Complaint("launch fails", (arm,), text)]
                    break
        except KeyboardInterrupt:
            self._tell(measured, None)
            raise
        if not complaints:
            self._seen.add(measured["base"].launches)
            complaints = pair_complaints(
                measured["base"],
                measured["head"],
                seen=self._seen,
                environment=self._environment,
                same_work=self._policy.same_work,
            )
            complaints = self._forgive(complaints) + self._gone(measured)
        if complaints:
            self._tell(measured, None)
            self._drop(complaints, measured)
            return
        self._last_complaints = set()
        if self._gate is None:
            self._declare(measured["base"], measured["head"])
            if result.stopped:
                self._tell(measured, None)
                return
        self._tell(measured, result.pairs + 1)
        self._add(measured["base"].values(), measured["head"].values())
        self._listener.pair_done(result.pairs, self._current_verdicts(), self._pending(), elapsed)
        self._check_decided()

    def _tell(self, measured: Mapping[Arm, LaunchResult], pair: int | None) -> None:
        for arm, launch in measured.items():
            self._listener.launched(launch, pair, arm)

    def _forgive(self, complaints: Sequence[Complaint]) -> list[Complaint]:
        """Leave out what base alone fails twice: it is not judged, and stops nothing else."""
        kept: list[Complaint] = []
        for complaint in complaints:
            if complaint.kind == "base fails":
                if self._gate is None and complaint.key in self._last_complaints:
                    continue
                if self._gate is not None and not self._result.judged.keys() & complaint.subject:
                    continue
            kept.append(complaint)
        return kept

    def _gone(self, measured: Mapping[Arm, LaunchResult]) -> list[Complaint]:
        """Undecided metrics that neither commit gave a value of this time."""
        values = measured["base"].values().keys() | measured["head"].values().keys()
        lost = tuple(sorted(self._pending() - values))
        if not lost:
            return []
        return [Complaint("both fail", lost, f"no value in either commit: {', '.join(lost[:3])}")]

    def _drop(self, complaints: Sequence[Complaint], measured: Mapping[Arm, LaunchResult]) -> None:
        result = self._result
        result.dropped += 1
        self._listener.pair_dropped(complaints)
        again = [c for c in complaints if c.persists and c.key in self._last_complaints]
        # An arm that was not come to has not recovered.
        waiting = {
            key
            for key in self._last_complaints
            if key[0] == "launch fails" and key[1][0] not in measured
        }
        self._last_complaints = waiting | {complaint.key for complaint in complaints}
        if again:
            result.invalid = [c.text for c in again]
        attempts = result.pairs + result.dropped
        if not result.invalid and attempts >= _ENOUGH_ATTEMPTS and result.dropped * 3 > attempts:
            reasons = "; ".join(complaint.text for complaint in complaints)
            result.invalid = [f"{result.dropped} of {attempts} pairs are not valid: {reasons}"]
        if result.invalid:
            result.stopped = "stopped as invalid"
            for complaint in again:
                if complaint.kind == "head fails":
                    result.not_measured += [
                        (metric, "head", complaint.text) for metric in complaint.subject
                    ]

    def _declare(self, base: LaunchResult, head: LaunchResult) -> None:
        """Fix which metrics are judged: those the first valid pair measured in both commits."""
        result = self._result
        self._environment = {launch.benchmark: launch.fingerprint for launch in base.launches}
        base_values, head_values = base.values(), head.values()
        base_failed, head_failed = base.failed(), head.failed()
        for name in sorted(base_failed.keys() & head_failed.keys()):
            result.not_measured.append((name, "both", base_failed[name]))
        for name in sorted(head_values.keys() - base_values.keys()):
            result.not_measured.append((name, "base", base_failed.get(name, "no value")))
        for measurement in head.file.measurements:
            name = metric_name(measurement.benchmark, measurement.params)
            if name not in base_values or name not in head_values:
                continue
            info = head.benchmarks[measurement.benchmark]
            judged = self._policy.metric(name, info)
            obstacle = ""
            values = (base_values[name], head_values[name])
            if judged.kind != "exact" and min(values) <= 0:
                obstacle = f"a value of {min(values):g} has no ratio; declare the metric exact"
            result.judged[name] = Judged(name, info, judged, obstacle)
            result.values[name] = []
            self._benchmarks[name] = measurement.benchmark
        self._gate = self._make_gate([j for j in result.judged.values() if j.votes])
        self._watch = self._make_gate(
            [j for j in result.judged.values() if j.watched and not j.votes]
        )
        if self._gate is None:
            result.invalid = [
                "no metric can be judged: none that was measured says which direction is better "
                "(set `better` on the benchmark or in [gate.metrics])"
                if result.judged
                else "no benchmark gave a value in both commits"
            ]
            result.stopped = "stopped as invalid"

    def _make_gate(self, judged: Sequence[Judged]) -> PairedGate | None:
        if not judged:
            return None
        noisy = [j for j in judged if j.policy.kind != "exact"]
        return PairedGate(
            {j.name: j.policy.better for j in judged if j.policy.better is not None},
            alpha=self._policy.alpha,
            margin={j.name: j.policy.margin for j in noisy},
            detect={j.name: j.policy.detect for j in noisy},
            max_pairs=self._policy.max_pairs,
            exact={j.name: j.policy.step for j in judged if j.policy.kind == "exact"},
            seed=self._result.seed,
        )

    def _add(self, base: Mapping[str, float], head: Mapping[str, float]) -> None:
        result = self._result
        result.pairs += 1
        both = {
            name: (base[name], head[name])
            for name in result.judged
            if name in base and name in head
        }
        for name, values in both.items():
            result.values[name].append(values)
        for gate, votes in ((self._gate, True), (self._watch, False)):
            if gate is None:
                continue
            pair = {
                name: values
                for name, values in both.items()
                if result.judged[name].watched and result.judged[name].votes is votes
            }
            # What does not vote is measured only as long as something that votes needs it.
            if votes or (gate.pairs < gate.max_pairs and gate.pending() <= pair.keys()):
                try:
                    gate.add(pair)
                except ValueError as error:
                    result.invalid = [str(error)]
                    result.stopped = "stopped as invalid"

    def _pending(self) -> frozenset[str]:
        return self._gate.pending() if self._gate is not None else frozenset()

    def _current_verdicts(self) -> dict[str, Verdict]:
        return self._gate.verdicts() if self._gate is not None else {}

    def _patterns(self) -> tuple[str, ...]:
        """Patterns of the suites that something undecided belongs to.

        A suite class shares one launch, so it is measured whole; what is decided everywhere in it
        costs nothing more.
        """
        if self._gate is None:
            return self._policy.bench
        suites = {self._benchmarks[name].rpartition(".")[0] for name in self._pending()}
        everything = {name.rpartition(".")[0] for name in self._benchmarks.values()}
        if suites == everything:
            return self._policy.bench
        names = sorted(
            {
                benchmark
                for benchmark in self._benchmarks.values()
                if benchmark.rpartition(".")[0] in suites
            }
        )
        return (f"^({'|'.join(map(re.escape, names))})($|\\()",)

    def _check_decided(self) -> None:
        result, gate = self._result, self._gate
        if gate is None or result.stopped:
            return
        if not gate.pending():
            undecided = any(v.status == "inconclusive" for v in gate.verdicts().values())
            result.stopped = "out of pairs" if undecided else "every metric is decided"
            return
        worse = [name for name, v in gate.verdicts().items() if v.status == "regression"]
        if not worse:
            return
        if self._fail_fast:
            result.stopped = "stopped at the first regression"
        elif result.pairs in gate.looks:
            # The noisy metrics have just been heard; more pairs would only cost time.
            result.stopped = "a regression is decided"

    def _check_budget(self, elapsed: float, last_pair: float) -> None:
        budget = self._policy.budget
        if budget is not None and elapsed + last_pair > budget:
            self._result.stopped = f"the budget of {budget:g} s is spent"
