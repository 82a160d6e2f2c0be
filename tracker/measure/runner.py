"""A range of commits, oldest first, each measured and at once in the store."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tracker.domain import Problem, RunSource
from tracker.errors import MeasurementError, UsageError
from tracker.measure.asv import AsvRunner, LaunchResult
from tracker.measure.git import Commit
from tracker.measure.recorder import Recorder
from tracker.store import queries

__all__ = ["CommitDone", "RangeReport", "measure_range", "measured_commits"]


@dataclass(frozen=True, slots=True)
class CommitDone:
    """What happened to one commit of the range.

    Attributes:
        commit: Which.
        launches: Launches that were measured and recorded.
        measured: Values of the last launch.
        expected: Values it should have had.
        failures: (benchmark, reason) of those without one.
        error: Why nothing was measured, or None.
        skipped: Whether the store had it already.
        seconds: Wall time.
    """

    commit: Commit
    launches: int = 0
    measured: int = 0
    expected: int = 0
    failures: tuple[tuple[str, str], ...] = ()
    error: str | None = None
    skipped: bool = False
    seconds: float = 0.0


@dataclass(slots=True)
class RangeReport:
    """What happened to a range.

    Attributes:
        done: One a commit that was come to, oldest first.
        interrupted: Whether somebody stopped it; what was measured is in the store.
    """

    done: list[CommitDone] = field(default_factory=list)
    interrupted: bool = False

    @property
    def num_measured(self) -> int:
        return sum(item.launches > 0 for item in self.done)

    @property
    def num_skipped(self) -> int:
        return sum(item.skipped for item in self.done)

    @property
    def num_failed(self) -> int:
        return sum(item.error is not None for item in self.done)


def measure_range(
    recorder: Recorder,
    runner: AsvRunner,
    commits: Sequence[Commit],
    *,
    repeat: int = 1,
    skip: frozenset[str] = frozenset(),
    source: RunSource = "run",
    on_commit: Callable[[Commit], None] = lambda commit: None,
    on_launch: Callable[[LaunchResult], None] = lambda result: None,
    on_done: Callable[[CommitDone], None] = lambda done: None,
) -> RangeReport:
    """Measure `commits` in order; what cannot be measured is reported and the rest goes on.

    Every launch is in the store before the next begins, so that an interruption loses only the
    one under way.

    Args:
        recorder: Of the project in the store.
        runner: Measures one commit.
        commits: Oldest first.
        repeat: Launches a commit.
        skip: Full hashes to leave out.
        source: What the store says of where the values come from.
        on_commit: Called before a commit.
        on_launch: Called after each launch is recorded.
        on_done: Called after a commit, skipped ones included.
    """
    recorder.commits(commits)
    report = RangeReport()
    try:
        for commit in commits:
            on_commit(commit)
            if commit.hash in skip:
                done = CommitDone(commit, skipped=True)
            else:
                done = _measure(recorder, runner, commit, repeat, source, on_launch)
            report.done.append(done)
            on_done(done)
    except KeyboardInterrupt:
        report.interrupted = True
    runner.worktrees.prune()
    return report


def measured_commits(
    recorder: Recorder, runner: AsvRunner, commits: Sequence[Commit]
) -> frozenset[str]:
    """Return those of `commits` that the store has with today's suites, on the runner's machine.

    A commit counts when every benchmark that would run has a result there at its present version,
    a failure included: measuring it again would say the same.

    Raises:
        MeasurementError: The suites cannot be read; nothing could be measured either.
    """
    store, project = recorder.store, recorder.project
    if runner.machine not in queries.list_machines(store, project):
        return frozenset()
    have: dict[str, set[tuple[str, str]]] = {}
    for commit in commits:
        try:
            rows = queries.compare(store, project, commit.hash, commit.hash, machine=runner.machine)
        except UsageError:
            continue  # a commit that the store has never seen
        found = {(r.series.benchmark, r.series.version) for r in rows if r.base_status is not None}
        if found:
            have[commit.hash] = found
    if not have:
        return frozenset()
    expected = {
        (info.name, info.version)
        for info in runner.discover(commits[-1].hash).values()
        if not runner.bench or any(re.search(pattern, info.name) for pattern in runner.bench)
    }
    return frozenset(digest for digest, found in have.items() if expected and expected <= found)


def _measure(
    recorder: Recorder,
    runner: AsvRunner,
    commit: Commit,
    repeat: int,
    source: RunSource,
    on_launch: Callable[[LaunchResult], None],
) -> CommitDone:
    launches, seconds = 0, 0.0
    last: LaunchResult | None = None
    error: str | None = None
    for _ in range(repeat):
        try:
            last = runner.launch(commit.hash)
        except MeasurementError as problem:
            error = str(problem)
            recorder.store.record_problems(
                recorder.project, [Problem(path=f"commit {commit.hash}", reason=error)]
            )
            break
        recorder.launch(last, source)
        launches += 1
        seconds += last.seconds
        on_launch(last)
    return CommitDone(
        commit=commit,
        launches=launches,
        measured=last.measured if last else 0,
        expected=last.expected if last else 0,
        failures=tuple((f.name, f.reason) for f in last.failures) if last else (),
        error=error,
        seconds=seconds,
    )
