"""The loop of a bisection: measures the most informative commit until the first bad one is known."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from tracker.bisect.pairs import StoredPairs
from tracker.bisect.result import Bisected
from tracker.bisect.search import Search
from tracker.bisect.target import why_no_regression, worst_regression
from tracker.domain import VerdictInfo
from tracker.errors import UsageError
from tracker.gate.listener import Listener
from tracker.gate.measured import gate_commits
from tracker.gate.policy import Policy
from tracker.measure.git import Commit
from tracker.measure.launch import Runner, measuring_clock
from tracker.measure.recorder import Recorder
from tracker.metrics import MetricRule
from tracker.report import Report

__all__ = ["bisect"]

_PAIRS_A_STEP = 2


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
    seeds: random.Random | None = None,
    listener: Listener,
    on_step: Callable[[Bisected, Commit], None] = lambda result, commit: None,
    clock: Callable[[], float] | None = None,
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
        max_pairs: Measured at most, after good against bad.
        budget: Seconds of measuring; no step starts that is expected to exceed them. None: no limit.
        fresh: Count nothing that the store has already.
        seeds: Of the gates' orders of launches; the system's by default.
        listener: Receives the events of each gate.
        on_step: Called before each step with what is known and the commit that it will measure.
        clock: Seconds, monotonic; by default it stands still while another measurement has the
            machine.

    Raises:
        UsageError: No commits, a confidence out of range, or a metric that was not measured.
        StoreError: The store failed.
    """
    if not commits:
        raise UsageError("the range is empty; are GOOD and BAD the wrong way round?")
    if not 0.5 < confidence < 1:
        raise UsageError(f"confidence {confidence:g} must lie between 0.5 and 1")
    recorder.commits([good, *commits])
    result = Bisected(recorder.project, runner.machine, good, commits, confidence)
    stored = StoredPairs(
        recorder.store, recorder.project, runner.machine, good, ignore=commits if fresh else ()
    )
    clock = clock or measuring_clock(runner)
    started = clock()
    seeds = seeds or random.SystemRandom()

    def measure(head: Commit, judged_by: Policy) -> Report:
        return gate_commits(
            recorder, runner, good, head, judged_by,
            listener=listener, seed=seeds.randrange(2**31), resume=not fresh,
        )  # fmt: skip

    target = _stored_regression(stored, result.bad, policy, metric)
    if target is None:
        report = measure(result.bad, policy)
        if report.stopped == "interrupted":
            result.interrupted, result.stopped = True, "interrupted"
            return result
        if not report.is_valid:
            result.outcome, result.note = "invalid", report.headline
            return result
        newest = stored.valid(result.bad)[0]
        target = worst_regression(newest, policy, metric)
        if target is None:
            result.outcome, result.note = "no regression", why_no_regression(newest, metric)
            return result
    result.metric = target.metric
    search = Search(result, stored, target)
    if not search.shows_regression():
        result.outcome = "no regression"
        result.note = "all pairs in the store together do not show it; --fresh counts new ones only"
        return result
    probe = _probe_policy(policy, search.benchmark, target.metric)
    measured, longest = 0, 0.0
    while not result.stopped:
        if search.best_probability() >= confidence:
            result.stopped = f"a probability of {confidence:.0%} is reached"
            break
        number = search.next()
        if number is None:
            result.stopped = "no further measurement would be informative"
        elif measured >= max_pairs:
            result.stopped = f"{max_pairs} pairs are measured"
        elif budget is not None and clock() - started + longest > budget:
            result.stopped = f"the budget of {budget:g} s is spent"
        else:
            head = commits[number - 1]
            search.describe()
            on_step(result, head)
            before = clock()
            report = measure(head, probe)
            longest = max(longest, clock() - before)
            if report.stopped == "interrupted":
                result.interrupted, result.stopped = True, "interrupted"
            elif report.is_valid:
                measured += report.pairs
                search.measured(number)
            else:
                search.skip(number, report.headline)
    search.conclude(policy)
    return result


def _stored_regression(
    stored: StoredPairs, bad: Commit, policy: Policy, metric: str | None
) -> VerdictInfo | None:
    regressions = (worst_regression(gate, policy, metric) for gate in stored.valid(bad))
    return next(filter(None, regressions), None)


def _probe_policy(policy: Policy, benchmark: str, metric: str) -> Policy:
    """Return the policy of one step: a few pairs of one benchmark, too few to decide anything."""
    return replace(
        policy,
        bench=(f"^{re.escape(benchmark)}($|\\()",),
        max_pairs=_PAIRS_A_STEP,
        budget=None,
        limits=(),
        metrics=(*policy.metrics, MetricRule(f"^{re.escape(metric)}$", vote=True)),
    )
