"""The gate's loop: interleaved pairs of launches until every metric is decided.

The loop knows no asv and no store: it is given a function that measures one launch, and tells a
listener what happens. So it can be driven by a test, by `tracker gate` and by a calibration.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

from tracker.domain import Arm, BenchmarkInfo, Expectation, Fingerprint, Launch, metric_name
from tracker.errors import MeasurementError
from tracker.expected import nearest
from tracker.gate.control import Controls, ControlWatch, control_differs, control_times, controls_of
from tracker.gate.family import in_report_terms, judge_metric, make_gate, without_expected_change
from tracker.gate.forecast import pairs_left
from tracker.gate.judge import broken_limit
from tracker.gate.listener import Listener, Standing
from tracker.gate.order import PairOrder
from tracker.gate.policy import Policy
from tracker.gate.result import GateResult, Judged
from tracker.gate.validity import (
    Complaint,
    WorkSeen,
    pair_complaints,
    prefix_warning,
    token_warning,
)
from tracker.measure.launch import LaunchResult
from tracker.stats import PairedGate, Verdict

__all__ = ["Earlier", "Pair", "Session"]

Measure = Callable[[str, Arm, Sequence[str]], LaunchResult]
Values = Mapping[str, float]

# Pairs attempted before the share of dropped ones is looked at.
_ENOUGH_ATTEMPTS = 6


class Pair(NamedTuple):
    """One valid pair: the values of base and head by metric, the control's times, and which arm ran
    first (None: not known)."""

    base: Values
    head: Values
    controls: Controls
    first: Arm | None = None


@dataclass(frozen=True, slots=True)
class Earlier:
    """What a gate had measured before it was cut off.

    Attributes:
        benchmarks: By metric.
        pairs: In order.
        launches: The base's launches of every pair.
    """

    benchmarks: Mapping[str, BenchmarkInfo]
    pairs: Sequence[Pair]
    launches: Sequence[Launch] = ()


class Session:
    """Measures interleaved pairs of two commits until the policy's gate is decided.

    Args:
        measure: Measures one launch: commit, arm, benchmark patterns (empty: the project's own).
        base: Full hash.
        head: Full hash; may equal `base`.
        policy: How strictly to judge.
        seed: Of the order of launches.
        fail_fast: Stop at the first voting regression or limit that blocks, not at the next look
            of the others.
        listener: Told what happens.
        expectations: Changes that somebody intends.
        control: What is known of the machine's control workload.
        earlier: Pairs of this very gate that another process measured.
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
        expectations: Iterable[Expectation] = (),
        control: ControlWatch | None = None,
        earlier: Earlier | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._measure = measure
        self._commit: dict[Arm, str] = {"base": base, "head": head}
        self._policy = policy
        self._listener = listener
        self._fail_fast = fail_fast
        self._clock = clock
        self._order = PairOrder(seed)
        self._expectations = tuple(expectations)
        self._control = control or ControlWatch()
        self._earlier = earlier
        self._attempts = 0  # of this process
        self._noted_missing = False
        self._seen = WorkSeen()
        self._environment: dict[str, Fingerprint] = {}
        self._last_complaints: set[tuple[str, tuple[str, ...]]] = set()
        self._controls: list[Controls] = []  # by pair
        self._gate: PairedGate | None = None  # what votes
        self._watch: PairedGate | None = None  # what is judged without a vote
        self._result = GateResult(seed=seed)

    def run(self) -> GateResult:
        """Measure until decided, out of pairs or budget, invalid or interrupted.

        Ctrl-C ends the loop; what was measured until then is returned.
        """
        result = self._result
        started = self._clock()
        if self._earlier is not None:
            self._restore(self._earlier)
        try:
            while not result.stopped:
                before = self._clock()
                self._one_pair(started)
                if not result.stopped:
                    now = self._clock()
                    self._check_budget(now - started, now - before)
        except KeyboardInterrupt:
            result.interrupted = True
            result.stopped = "interrupted"
        result.seconds = self._clock() - started
        for gate in (self._gate, self._watch):
            if gate is not None:
                result.verdicts.update(in_report_terms(result.judged, gate.verdicts()))
        self._warn()
        return result

    def _restore(self, earlier: Earlier) -> None:
        """Take up the pairs that are there, as if they had just been measured."""
        for launch in earlier.launches:
            self._environment.setdefault(launch.benchmark, launch.fingerprint)
        self._seen.add(earlier.launches)
        for pair in earlier.pairs:
            if self._gate is None:
                self._declare(earlier.benchmarks, pair.base, pair.head)
            if self._result.stopped:
                return
            next(self._order)
            self._add(pair)
        self._check_decided()
        self._listener.resumed(self._result.pairs)

    def _one_pair(self, started: float) -> None:
        result = self._result
        self._attempts += 1
        measured: dict[Arm, LaunchResult] = {}
        complaints: list[Complaint] = []
        bench = self._patterns()
        order = next(self._order)
        try:
            for arm in order:
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
            times = control_times(measured["base"].launches, measured["head"].launches)
            complaints += self._control.complaints(times)
        if complaints:
            self._tell(measured, None)
            self._drop(complaints, measured)
            return
        self._last_complaints = set()
        base, head = measured["base"], measured["head"]
        if self._gate is None:
            self._environment = {one.benchmark: one.fingerprint for one in base.launches}
            self._declare(_infos(head), base.values(), head.values())
        if not self._noted_missing:
            self._note_missing(base, head)
        if result.stopped:
            self._tell(measured, None)
            return
        self._tell(measured, result.pairs + 1)
        self._add(Pair(base.values(), head.values(), times, order[0]))
        self._note_prefixes(base, head)
        self._listener.pair_done(self._standing(self._clock() - started))
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
        result.moved += all(complaint.kind == "node" for complaint in complaints)
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
        # A moved node is no fault of the measurement, and its rule lets most pairs through.
        dropped = result.dropped - result.moved
        attempts = result.pairs + dropped
        if not result.invalid and attempts >= _ENOUGH_ATTEMPTS and dropped * 3 > attempts:
            reasons = "; ".join(complaint.text for complaint in complaints)
            result.invalid = [f"{dropped} of {attempts} pairs are not valid: {reasons}"]
        if result.invalid:
            result.stopped = "stopped as invalid"
            for complaint in again:
                if complaint.kind == "head fails":
                    result.not_measured += [
                        (metric, "head", complaint.text) for metric in complaint.subject
                    ]

    def _declare(self, benchmarks: Mapping[str, BenchmarkInfo], base: Values, head: Values) -> None:
        """Fix which metrics are judged: those the first valid pair measured in both commits."""
        result = self._result
        for name, info in benchmarks.items():
            if name in base and name in head:
                pair = (base[name], head[name])
                judged = judge_metric(name, info, self._policy, [pair], self._expectations)
                result.judged[name] = judged
                result.values[name] = []
        judged_all = result.judged.values()
        seed = result.seed
        self._gate = make_gate([j for j in judged_all if j.votes], self._policy, seed)
        self._watch = make_gate(
            [j for j in judged_all if j.watched and not j.votes], self._policy, seed
        )
        for expectation in self._expectations:
            if (unknown := nearest(expectation.metric, result.judged)) is not None:
                result.warnings.append(f"an expectation is of no use here: {unknown}")
        if self._gate is None:
            result.invalid = [
                "no metric can be judged: none that was measured says which direction is better "
                "(set `better` on the benchmark or in [gate.metrics])"
                if result.judged
                else "no benchmark gave a value in both commits"
            ]
            result.stopped = "stopped as invalid"

    def _note_missing(self, base: LaunchResult, head: LaunchResult) -> None:
        """Remember what the first valid pair has no value of, and why."""
        self._noted_missing = True
        result = self._result
        base_failed, head_failed = base.failed(), head.failed()
        for name in sorted(base_failed.keys() & head_failed.keys()):
            result.not_measured.append((name, "both", base_failed[name]))
        for name in sorted(head.values().keys() - base.values().keys()):
            result.not_measured.append((name, "base", base_failed.get(name, "no value")))

    def _note_prefixes(self, base: LaunchResult, head: LaunchResult) -> None:
        for warning in (prefix_warning(base, head), token_warning(base, head, self._seen)):
            if warning is not None and warning not in self._result.warnings:
                self._result.warnings.append(warning)

    def _warn(self) -> None:
        result = self._result
        if self._seen.unsteady():
            result.warnings.append(
                "the base's own tokens vary between launches, so they were not compared: "
                + ", ".join(self._seen.unsteady())
            )
        result.warnings += control_differs(self._controls)
        if result.moved:
            result.warnings.append(
                f"the node itself moved during {result.moved} of {self._attempts} pairs, which were "
                "dropped in both arms: its control workload says so, not the commits"
            )

    def _add(self, measured: Pair) -> None:
        result = self._result
        base, head = measured.base, measured.head
        result.pairs += 1
        self._controls.append(measured.controls)
        both = {
            name: (base[name], head[name])
            for name in result.judged
            if name in base and name in head
        }
        for name, values in both.items():
            result.values[name].append(values)
        controls = controls_of(
            {name: result.judged[name].benchmark.name for name in both}, measured.controls
        )
        for gate, votes in ((self._gate, True), (self._watch, False)):
            if gate is None:
                continue
            pair = {
                name: without_expected_change(judged, both[name])
                for name, judged in result.judged.items()
                if name in both and judged.watched and judged.votes is votes
            }
            # What does not vote is measured only as long as something that votes needs it.
            if votes or (gate.pairs < gate.max_pairs and gate.pending() <= pair.keys()):
                try:
                    gate.add(
                        pair,
                        {name: controls[name] for name in pair.keys() & controls},
                        first=measured.first,
                    )
                except ValueError as error:
                    result.invalid = [str(error)]
                    result.stopped = "stopped as invalid"

    def _pending(self) -> frozenset[str]:
        return self._gate.pending() if self._gate is not None else frozenset()

    def _verdicts(self) -> dict[str, Verdict]:
        if self._gate is None:
            return {}
        return in_report_terms(self._result.judged, self._gate.verdicts())

    def _standing(self, seconds: float) -> Standing:
        left: dict[str, int | None] = {}
        ratios = {} if self._gate is None else self._gate.log_ratios()
        for name in self._pending():
            judged = self._result.judged[name]
            assert self._gate is not None
            left[name] = pairs_left(
                ratios.get(name, ()),
                margin=judged.policy.margin,
                detect=judged.policy.detect,
                looks=self._gate.looks,
            )
        return Standing(
            self._result.pairs, self._verdicts(), left, seconds, seconds / self._attempts
        )

    def _patterns(self) -> tuple[str, ...]:
        """Patterns of the suites that something undecided belongs to.

        A suite class shares one launch, so it is measured whole; what is decided everywhere in it
        costs nothing more.
        """
        if self._gate is None:
            return self._policy.bench
        benchmarks = {name: j.benchmark.name for name, j in self._result.judged.items()}
        suites = {benchmarks[name].rpartition(".")[0] for name in self._pending()}
        everything = {name.rpartition(".")[0] for name in benchmarks.values()}
        if suites == everything:
            return self._policy.bench
        names = sorted(
            {
                benchmark
                for benchmark in benchmarks.values()
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
            result.stopped = (
                "every metric is decided" if not undecided
                else "out of pairs" if gate.pairs >= gate.max_pairs
                else "no undecided metric can be decided within the budget"
            )  # fmt: skip
            return
        if self._fail_fast and any(map(self._breaks_limit, result.judged.values())):
            result.stopped = "stopped at the first broken limit"
            return
        worse = [name for name, v in gate.verdicts().items() if v.status == "regression"]
        if not worse:
            return
        if self._fail_fast:
            result.stopped = "stopped at the first regression"
        elif result.pairs in gate.looks:
            # The noisy metrics have just been heard; more pairs would only cost time.
            result.stopped = "a regression is decided"

    def _breaks_limit(self, judged: Judged) -> bool:
        values = self._result.values[judged.name]
        base, head = (median(pair[arm] for pair in values) for arm in (0, 1))
        broken = broken_limit(judged, base, head, self._policy)
        return broken is not None and broken[1]

    def _check_budget(self, elapsed: float, last_pair: float) -> None:
        budget = self._policy.budget
        if budget is not None and elapsed + last_pair > budget:
            self._result.stopped = f"the budget of {budget:g} s is spent"


def _infos(launch: LaunchResult) -> dict[str, BenchmarkInfo]:
    """Every metric of a launch with its benchmark, in the order of the file."""
    return {
        metric_name(m.benchmark, m.params): launch.benchmarks[m.benchmark]
        for m in launch.file.measurements
    }
