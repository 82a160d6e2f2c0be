"""The gate's loop: interleaved pairs of launches until every metric is decided.

The loop knows no measuring tool and no store: it gets a function that measures one launch, and
sends events to a listener. The judge judges; the loop decides whether to measure another pair.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from tracker.domain import Arm, BenchmarkInfo, Expectation, Fingerprint, Launch
from tracker.errors import MeasurementError
from tracker.gate.complaint import Complaint
from tracker.gate.control import ControlWatch, control_times
from tracker.gate.course import Course
from tracker.gate.failures import failures_of, with_log, without_lost_proof
from tracker.gate.judge import Judge, Pair
from tracker.gate.listener import Listener, Standing
from tracker.gate.order import PairOrder
from tracker.gate.policy import Policy
from tracker.gate.validity import BaseTokens, pair_complaints, pair_warnings
from tracker.measure.launch import LaunchResult, benchmarks_by_metric
from tracker.report import Missing
from tracker.report.numbers import some_of

__all__ = ["Earlier", "Session"]

Measure = Callable[[str, Arm, Sequence[str]], LaunchResult]
Failure = tuple[str, str]  # metric and where

# Pairs attempted before the share of dropped ones is looked at.
_ENOUGH_ATTEMPTS = 6


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
        record: Keeps a launch, with the number of its valid pair and its arm, before the listener
            receives it.
        listener: Receives the events.
        expectations: Changes that are intended.
        control: What is known of the machine's control workload.
        earlier: Pairs of this very gate that another process measured.
        clock: Seconds, monotonic.

    Attributes:
        judge: Has the verdicts.
        course: What happened beside the pairs.
    """

    def __init__(
        self,
        measure: Measure,
        base: str,
        head: str,
        policy: Policy,
        *,
        listener: Listener,
        record: Callable[..., None] = lambda launch, *, pair, arm: None,
        seed: int = 0,
        fail_fast: bool = False,
        expectations: Iterable[Expectation] = (),
        control: ControlWatch | None = None,
        earlier: Earlier | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.judge = Judge(policy, seed=seed, expectations=expectations)
        self.course = Course()
        self._measure = measure
        self._commit: dict[Arm, str] = {"base": base, "head": head}
        self._policy = policy
        self._listener = listener
        self._record = record
        self._fail_fast = fail_fast
        self._clock = clock
        self._order = PairOrder(seed)
        self._control = control or ControlWatch()
        self._earlier = earlier
        self._base_tokens = BaseTokens()
        self._environment: dict[str, Fingerprint] = {}
        self._last_complaints: set[tuple[str, tuple[str, ...]]] = set()
        self._last_failures: set[Failure] = set()

    def run(self) -> None:
        """Measure until decided, out of pairs or budget, invalid or interrupted.

        Ctrl-C ends the loop; what was measured until then counts.
        """
        course = self.course
        started = self._clock()
        if self._earlier is not None:
            self._restore(self._earlier)
        try:
            while not course.stopped:
                before = self._clock()
                self._measure_pair(started)
                if not course.stopped:
                    now = self._clock()
                    self._check_budget(now - started, now - before)
        except KeyboardInterrupt:
            course.interrupted = True
            course.stopped = "interrupted"
        course.seconds = self._clock() - started
        self._warn()

    def _restore(self, earlier: Earlier) -> None:
        """Judge the pairs of an earlier process as if they had just been measured."""
        for launch in earlier.launches:
            self._environment.setdefault(launch.benchmark, launch.fingerprint)
        self._base_tokens.add(earlier.launches)
        for pair in earlier.pairs:
            next(self._order)
            self.judge.add(pair, earlier.benchmarks)
        self._check_decided()
        self._listener.resumed(self.judge.pairs)

    def _measure_pair(self, started: float) -> None:
        self.course.attempts += 1
        launched = self._launch_both()
        failures = [
            failure
            for failure in failures_of(launched, self._policy, self.judge.pending())
            if failure.metric not in self.course.failing()
        ]
        launched = without_lost_proof(launched, failures)
        complaints = self._new_failures(failures, launched)
        base, head = launched["base"], launched["head"]
        pair: Pair | None = None
        if isinstance(base, LaunchResult) and isinstance(head, LaunchResult):
            self._base_tokens.add(base.launches)
            complaints += pair_complaints(
                base, head, base_tokens=self._base_tokens, environment=self._environment,
                same_work=self._policy.same_work,
            )  # fmt: skip
            times = control_times(base.launches, head.launches)
            complaints += self._control.complaints(times)
            pair = Pair(base.values(), head.values(), times, next(iter(launched)))
        if complaints:
            self._report_launches(launched, None)
            self._drop(complaints)
            self._last_failures = {(f.metric, f.where) for f in failures}
            return
        self._last_complaints, self._last_failures = set(), set()
        self._record_failures(failures, launched)
        if pair is None or not (pair.base or pair.head):
            self._report_launches(launched, None)
            self._check_failing(anything_measured=False)
            return
        assert isinstance(base, LaunchResult) and isinstance(head, LaunchResult)
        self._report_launches(launched, self.judge.pairs + 1)
        if not self.judge.pairs:
            self._environment = {header.benchmark: header.fingerprint for header in base.launches}
        self.judge.add(pair, benchmarks_by_metric(head) | benchmarks_by_metric(base))
        self.judge.leave_out(self.course.failing())
        for warning in pair_warnings(base, head, self._base_tokens):
            if warning not in self.course.warnings:
                self.course.warnings.append(warning)
        self._listener.pair_done(self._standing(self._clock() - started))
        self._check_failing(anything_measured=True)
        self._check_decided()

    def _launch_both(self) -> dict[Arm, LaunchResult | MeasurementError]:
        """Launch both commits, the first of the pair first; also where the first one fails."""
        launched: dict[Arm, LaunchResult | MeasurementError] = {}
        bench = self._patterns()
        try:
            for arm in next(self._order):
                self._listener.launching(self.judge.pairs + 1, arm, bench)
                try:
                    launched[arm] = self._measure(self._commit[arm], arm, bench)
                except MeasurementError as error:
                    launched[arm] = error
        except KeyboardInterrupt:
            self._report_launches(launched, None)
            raise
        return launched

    def _report_launches(
        self, launched: Mapping[Arm, LaunchResult | MeasurementError], pair: int | None
    ) -> None:
        for arm, launch in launched.items():
            if isinstance(launch, LaunchResult):
                self._record(launch, pair=pair, arm=arm)
                self._listener.launched(launch, pair, arm)

    def _new_failures(
        self, failures: Sequence[Missing], launched: Mapping[Arm, LaunchResult | MeasurementError]
    ) -> list[Complaint]:
        """Complain of first failures: a single one may be the machine's fault."""
        if all(isinstance(launch, MeasurementError) for launch in launched.values()):
            text = f"neither commit can be measured: {launched['base']}"
            return [Complaint("launch fails", ("base", "head"), text)]
        fresh = [
            failure
            for failure in failures
            if failure.fails
            and (failure.metric, failure.where) not in self._last_failures
            # Two launches have failed already, and nothing was ever expected of it.
            and not (failure.where == "both" and failure.metric not in self.judge.judged)
        ]
        complaints: list[Complaint] = []
        for where in ("head", "base", "both"):
            names = [failure for failure in fresh if failure.where == where]
            if names:
                place = "both commits" if where == "both" else f"{where} only"
                reasons = [f"{failure.metric}: {failure.reason}" for failure in names]
                subject = tuple(failure.metric for failure in names)
                text = f"fails in {place}: {some_of(reasons, separator='; ')}"
                complaints.append(Complaint("fails", subject, text))
        return complaints

    def _record_failures(
        self, failures: Sequence[Missing], launched: Mapping[Arm, LaunchResult | MeasurementError]
    ) -> None:
        """Keep what failed again; no more values of it are expected."""
        known = {missing.metric for missing in self.course.missing}
        for failure in failures:
            named = failure.fails or failure.metric not in self.judge.judged
            if named and failure.metric not in known:
                arm: Arm = "head" if failure.where == "head" else "base"
                self.course.missing.append(with_log(failure, launched[arm]))

    def _check_failing(self, *, anything_measured: bool) -> None:
        course = self.course
        if course.failing("head"):
            course.stopped = "HEAD fails a benchmark that BASE runs"
        elif not anything_measured:
            course.stopped = "nothing could be measured"
            course.infrastructure.append("no benchmark gave a value in both commits")

    def _drop(self, complaints: Sequence[Complaint]) -> None:
        course = self.course
        course.dropped += 1
        course.moved += all(complaint.kind == "node" for complaint in complaints)
        self._listener.pair_dropped(complaints)
        again = [c for c in complaints if c.persists and c.key in self._last_complaints]
        self._last_complaints = {complaint.key for complaint in complaints}
        # A change of the machine's speed is no fault of the measurement; its rule keeps most pairs.
        dropped = course.dropped - course.moved
        attempts = self.judge.pairs + dropped
        if again and all(complaint.kind == "launch fails" for complaint in again):
            course.infrastructure += [complaint.text for complaint in again]
            course.stopped = "nothing could be measured"
        elif again:
            course.invalid = [complaint.text for complaint in again]
        elif attempts >= _ENOUGH_ATTEMPTS and dropped * 3 > attempts:
            reasons = "; ".join(complaint.text for complaint in complaints)
            course.invalid = [f"{dropped} of {attempts} pairs are not valid: {reasons}"]
        if course.invalid:
            course.stopped = "stopped as invalid"

    def _warn(self) -> None:
        course = self.course
        if self._policy.same_work == "tokens" and self._base_tokens.varying():
            course.warnings.append(
                "the base's own tokens vary between launches, so they were not compared: "
                + ", ".join(self._base_tokens.varying())
            )
        if course.moved:
            course.warnings.append(
                f"the machine's speed changed during {course.moved} of {course.attempts} pairs, "
                "which were dropped in both arms: its control workload shows it, whatever the "
                "commits do"
            )

    def _standing(self, seconds: float) -> Standing:
        judge = self.judge
        return Standing(
            judge.pairs, judge.verdicts(voting=True), judge.pairs_left(), seconds,
            seconds / self.course.attempts,
        )  # fmt: skip

    def _patterns(self) -> tuple[str, ...]:
        """Patterns of the suites with an undecided metric.

        A suite class shares one launch, so it is measured whole.
        """
        if not self.judge.pairs:
            return self._policy.bench
        benchmarks = {name: j.benchmark.name for name, j in self.judge.judged.items()}
        suites = {benchmarks[name].rpartition(".")[0] for name in self.judge.pending()}
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
        course, judge = self.course, self.judge
        if course.stopped or not judge.pairs:
            return
        if judge.invalid:
            course.stopped = "stopped as invalid"
        elif not judge.pending():
            verdicts = judge.verdicts(voting=True).values()
            undecided = any(v.status == "inconclusive" for v in verdicts)
            course.stopped = (
                "every metric is decided" if not undecided
                else "out of pairs" if judge.out_of_pairs
                else "no undecided metric can be decided within the budget"
            )  # fmt: skip
        elif self._fail_fast and any(
            limit is not None and limit[1] for limit in map(judge.breaks_limit, judge.judged)
        ):
            course.stopped = "stopped at the first broken limit"
        elif judge.regressions() and self._fail_fast:
            course.stopped = "stopped at the first regression"
        elif judge.regressions() and judge.is_look:
            # The noisy metrics have just been judged; more pairs would only cost time.
            course.stopped = "a regression is decided"

    def _check_budget(self, elapsed: float, last_pair: float) -> None:
        budget = self._policy.budget
        if budget is not None and elapsed + last_pair > budget:
            self.course.stopped = f"the budget of {budget:g} s is spent"
