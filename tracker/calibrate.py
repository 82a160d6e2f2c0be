"""A/A gates through the real gate: how often it cries wolf here, and how loud the noise is."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from statistics import median

from tracker.domain import (
    VALID_EXIT_CODES,
    CalibrationBlock,
    GateInfo,
    PairedValues,
    VerdictInfo,
)
from tracker.errors import UsageError
from tracker.gate.listener import Listener
from tracker.gate.measured import gate_commits
from tracker.gate.policy import Policy
from tracker.gate.promise import pooled, tightened
from tracker.gate.stored import benchmark_of
from tracker.measure.git import Commit
from tracker.measure.launch import Runner
from tracker.measure.recorder import Recorder
from tracker.report import Report
from tracker.stats.calibration import (
    Noise,
    lower_bound,
    noise_of,
    trials_to_confirm,
    upper_bound,
)
from tracker.store import Store, queries

__all__ = ["Calibration", "MetricNoise", "calibrate"]

_MAX_INVALID = 3  # in a row; the machine or the commit cannot be measured


@dataclass(frozen=True, slots=True)
class MetricNoise:
    """One noisy metric over all A/A gates.

    Attributes:
        metric: Its name.
        noise: Its spread; None where a value is not positive.
        mde: Median over gates of the smallest slowdown that did not hide; None where no gate could
            have called or excluded one.
        called: Gates that called it a regression.
        undecided: Gates that could not decide it.
        gates: Gates that judged it.
    """

    metric: str
    noise: Noise | None
    mde: float | None
    called: int
    undecided: int
    gates: int


@dataclass(slots=True)
class Calibration:
    """What the A/A gates of one commit under one policy say.

    Attributes:
        project: Its name.
        machine: Where they ran.
        commit: What was measured against itself.
        policy: Without absolute limits, which no luck breaks.
        wanted: Gates asked for.
        gates: Those that ended with a valid measurement, oldest first.
        invalid: Why others did not.
        metrics: The noise of each noisy metric, the noisiest first.
        unsteady: Exact metrics that differed between launches of the commit.
        pooled: (gates, false blocks) over every block with the policy's alpha on this machine.
        stopped: Why no more gates were run.
        interrupted: Whether somebody pressed Ctrl-C.
    """

    project: str
    machine: str
    commit: Commit
    policy: Policy
    wanted: int
    gates: list[GateInfo] = field(default_factory=list)
    invalid: list[str] = field(default_factory=list)
    metrics: list[MetricNoise] = field(default_factory=list)
    unsteady: list[str] = field(default_factory=list)
    pooled: tuple[int, int] = (0, 0)
    stopped: str = ""
    interrupted: bool = False

    @property
    def false_blocks(self) -> int:
        """Gates that called a regression though nothing changed."""
        return sum(gate.exit_code == 1 for gate in self.gates)

    @property
    def lowest_rate(self) -> float:
        """Lower end of the false-block rate, one-sided 95 %, exact."""
        return lower_bound(self.false_blocks, len(self.gates))

    @property
    def highest_rate(self) -> float:
        """Upper end of the false-block rate, one-sided 95 %, exact."""
        return upper_bound(self.false_blocks, len(self.gates))

    @property
    def broken(self) -> bool:
        """Whether the gates refute the policy's alpha."""
        return self.lowest_rate > self.policy.alpha

    @property
    def to_confirm(self) -> int:
        """Gates without a false block that would confirm alpha."""
        return trials_to_confirm(self.policy.alpha)

    @property
    def alpha_to_try(self) -> float:
        """See `tracker.gate.promise.tightened`; the policy's own where it is not refuted."""
        alpha = self.policy.alpha
        return tightened(alpha, len(self.gates), self.false_blocks) if self.broken else alpha

    @property
    def exit_code(self) -> int:
        """4 where alpha is refuted or nothing valid was measured, 130 interrupted, else 0."""
        if self.interrupted:
            return 130
        return 4 if self.broken or not self.gates else 0


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
    clock: Callable[[], float] = time.monotonic,
) -> Calibration:
    """Run A/A gates of `commit` until the store holds `gates` valid ones; say what they show.

    Gates of this commit on this machine under this policy that are in the store already count,
    so that an interrupted calibration goes on where it was, and a larger number goes on from a
    smaller one.

    Args:
        recorder: Of the project in the store.
        runner: Measures one commit.
        commit: Measured against itself.
        policy: As the project's gate would use it; absolute limits are left out.
        gates: Valid A/A gates wanted, at least 1.
        budget: Seconds; no gate is begun that would probably end later. None: no limit.
        fresh: Begin a new block and let no earlier gate of the machine count any more: for a
            machine that is not what it was.
        listener: Told what happens inside each gate.
        on_gate: Called after each gate with its number and report.
        clock: Seconds, monotonic.

    Raises:
        UsageError: `gates` is below 1.
        StoreError: The store failed.
    """
    if gates < 1:
        raise UsageError(f"{gates} gates show nothing; ask for at least 1")
    store = recorder.store
    policy = replace(policy, limits=())
    recorder.commits([commit])
    found = Calibration(recorder.project, runner.machine, commit, policy, gates)
    block = None if fresh else _newest_block(store, found)
    since = datetime.now(UTC) if fresh else block.started_at if block is not None else None
    is_fresh = fresh or (block is not None and bool(block.policy.get("fresh")))
    found.gates = _gates_of(store, found, since)
    seeds = random.SystemRandom()
    started, longest, failures = clock(), 0.0, 0
    while not found.stopped:
        if len(found.gates) >= gates:
            found.stopped = "all gates are run"
            break
        before = clock()
        if budget is not None and before - started + longest > budget:
            found.stopped = f"the budget of {budget:g} s is spent"
            break
        report = gate_commits(
            recorder, runner, commit, commit, policy,
            listener=listener, seed=seeds.randrange(2**31), resume=not fresh,
        )  # fmt: skip
        longest = max(longest, clock() - before)
        if report.stopped == "interrupted":
            found.interrupted, found.stopped = True, "interrupted"
            break
        if report.exit_code in VALID_EXIT_CODES:
            failures = 0
            found.gates = _gates_of(store, found, since)
            _record(store, found, is_fresh)
        else:
            failures += 1
            found.invalid.append(report.headline)
            if failures == _MAX_INVALID:
                found.stopped = f"{failures} gates in a row are invalid"
        on_gate(len(found.gates), report)
    _measure_noise(store, found)
    if found.gates:
        _record(store, found, is_fresh)
        found.pooled = pooled(_blocks(store, found), policy.alpha)
    return found


def _blocks(store: Store, found: Calibration) -> list[CalibrationBlock]:
    return queries.calibration_blocks(store, found.project, machine=found.machine)


def _block_policy(found: Calibration) -> dict[str, object]:
    """The policy as the store gives it back, with the commit."""
    plain: dict[str, object] = json.loads(json.dumps(found.policy.as_dict()))
    return {**plain, "commit": found.commit.hash}


def _newest_block(store: Store, found: Calibration) -> CalibrationBlock | None:
    wanted = _block_policy(found)
    return next(
        (
            block
            for block in _blocks(store, found)
            if {k: v for k, v in block.policy.items() if k != "fresh"} == wanted
        ),
        None,
    )


def _gates_of(store: Store, found: Calibration, since: datetime | None) -> list[GateInfo]:
    """Valid A/A gates of the commit on the machine under the policy, oldest first."""
    wanted = _block_policy(found)
    del wanted["commit"]
    commit = found.commit.hash
    return [
        gate
        for gate in reversed(queries.gates_between(store, found.project, commit, commit))
        if gate.machine == found.machine
        and gate.exit_code in VALID_EXIT_CODES
        and (since is None or gate.started_at >= since)
        and all(gate.policy.get(key) == value for key, value in wanted.items())
    ]


def _record(store: Store, found: Calibration, fresh: bool) -> None:
    store.record_calibration(
        found.project,
        CalibrationBlock(
            machine=found.machine,
            started_at=found.gates[0].started_at,
            gates=len(found.gates),
            false_blocks=found.false_blocks,
            policy=_block_policy(found) | ({"fresh": True} if fresh else {}),
        ),
    )


def _measure_noise(store: Store, found: Calibration) -> None:
    values: dict[str, list[PairedValues]] = {}
    for gate in found.gates:
        stored = queries.paired_values(
            store, found.project, found.commit.hash, found.commit.hash,
            gate_id=gate.id, machine=found.machine,
        )  # fmt: skip
        for metric, one in stored.items():
            if one.pairs:
                values.setdefault(metric, []).append(one)
    verdicts: dict[str, list[VerdictInfo]] = {}
    for gate in found.gates:
        for verdict in gate.verdicts:
            verdicts.setdefault(verdict.metric, []).append(verdict)
    for metric, stored_values in values.items():
        pairs = [pair for one in stored_values for pair in one.pairs]
        if stored_values[0].series.kind == "exact":
            if len({value for pair in pairs for value in pair}) > 1:
                found.unsteady.append(metric)
            continue
        if metric not in verdicts:
            continue
        judged = verdicts[metric]
        status = [verdict.status for verdict in judged]
        detect = found.policy.metric(metric, benchmark_of(stored_values[0].series)).detect
        sees = [seen for verdict in judged if (seen := _sees(verdict, detect)) is not None]
        found.metrics.append(
            MetricNoise(
                metric=metric,
                noise=noise_of(pairs),
                mde=median(sees) if sees else None,
                called=status.count("regression"),
                undecided=status.count("inconclusive"),
                gates=len(status),
            )
        )
    found.metrics.sort(key=lambda one: -(one.noise.pair if one.noise else 0.0))


def _sees(verdict: VerdictInfo, detect: float) -> float | None:
    """A pass excludes `detect` also with fewer pairs than any call takes."""
    return detect if verdict.mde is None and verdict.status == "pass" else verdict.mde
