"""The loop of a calibration: A/A gates until there are enough."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from tracker.calibrate.blocks import blocks_of, gates_of, newest_block, record_block
from tracker.calibrate.noise import measure_noise
from tracker.calibrate.result import Calibration
from tracker.errors import UsageError
from tracker.gate.alpha_check import pooled
from tracker.gate.listener import Listener
from tracker.gate.measured import gate_commits
from tracker.gate.policy import Policy
from tracker.measure.git import Commit
from tracker.measure.launch import Runner, measuring_clock
from tracker.measure.recorder import Recorder
from tracker.report import Report

__all__ = ["calibrate"]

_MAX_FAILURES = 3  # in a row; the machine or the commit cannot be measured


def calibrate(
    recorder: Recorder,
    runner: Runner,
    commit: Commit,
    policy: Policy,
    *,
    gates: int,
    budget: float | None = None,
    fresh: bool = False,
    listener: Listener,
    on_gate: Callable[[int, Report], None] = lambda number, report: None,
    clock: Callable[[], float] | None = None,
) -> Calibration:
    """Run A/A gates of `commit` until the store holds `gates` valid ones, and return what they show.

    Gates of this commit on this machine under this policy that are in the store already count, so
    an interrupted calibration continues, and a larger number continues a smaller one.

    Args:
        recorder: Of the project in the store.
        runner: Measures one commit.
        commit: Measured against itself.
        policy: As the project's gate would use it; absolute limits are left out.
        gates: Valid A/A gates wanted, at least 1.
        budget: Seconds of measuring; no gate starts that is expected to exceed them. None: no limit.
        fresh: Begin a new block, and count no earlier gate of the machine any more: for a machine
            that has changed.
        listener: Receives the events of each gate.
        on_gate: Called after each gate with its number and report.
        clock: Seconds, monotonic; by default it stands still while another measurement has the
            machine.

    Raises:
        UsageError: `gates` is below 1.
        StoreError: The store failed.
    """
    if gates < 1:
        raise UsageError(f"{gates} gates show nothing; ask for at least 1")
    store = recorder.store
    policy = replace(policy, limits=())
    recorder.commits([commit])
    result = Calibration(recorder.project, runner.machine, commit, policy, gates)
    block = None if fresh else newest_block(store, result)
    since = datetime.now(UTC) if fresh else block.started_at if block is not None else None
    is_fresh = fresh or (block is not None and bool(block.policy.get("fresh")))
    result.gates = gates_of(store, result, since)
    seeds = random.SystemRandom()
    clock = clock or measuring_clock(runner)
    started, longest, failures = clock(), 0.0, 0
    while not result.stopped:
        if len(result.gates) >= gates:
            result.stopped = "all gates are run"
            break
        before = clock()
        if budget is not None and before - started + longest > budget:
            result.stopped = f"the budget of {budget:g} s is spent"
            break
        report = gate_commits(
            recorder, runner, commit, commit, policy,
            listener=listener, seed=seeds.randrange(2**31), resume=not fresh,
        )  # fmt: skip
        longest = max(longest, clock() - before)
        if report.stopped == "interrupted":
            result.interrupted, result.stopped = True, "interrupted"
            break
        if report.is_valid:
            failures = 0
            result.gates = gates_of(store, result, since)
            record_block(store, result, is_fresh)
        else:
            failures += 1
            result.uncounted.append((report.outcome, report.headline))
            if failures == _MAX_FAILURES:
                result.stopped = f"{failures} gates in a row gave no valid measurement"
        on_gate(len(result.gates), report)
    measure_noise(store, result)
    if result.gates:
        record_block(store, result, is_fresh)
        result.pooled = pooled(blocks_of(store, result), policy.alpha)
    return result
