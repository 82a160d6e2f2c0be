"""A range of commits, oldest first, each measured and at once in the store."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tracker.domain import Problem, RunSource
from tracker.errors import MeasurementError
from tracker.measure.git import Commit
from tracker.measure.launch import LaunchResult, Runner
from tracker.measure.recorder import Recorder
from tracker.store.queries.measured import count_launches

__all__ = ["CommitDone", "RangeReport", "launches_of", "measure_range"]


@dataclass(frozen=True, slots=True)
class CommitDone:
    """What happened to one commit of the range.

    Attributes:
        commit: Which.
        launches: Launches that were measured and recorded.
        measured: Values of the last launch.
        expected: Values it should have had.
        failures: (benchmark, reason) of those without one.
        notes: What could not be proved about the code that ran.
        error: Why nothing was measured, or None.
        skipped: Whether the store had all its launches already.
        seconds: Wall time.
    """

    commit: Commit
    launches: int = 0
    measured: int = 0
    expected: int = 0
    failures: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    error: str | None = None
    skipped: bool = False
    seconds: float = 0.0


@dataclass(slots=True)
class RangeReport:
    """What happened to a range.

    Attributes:
        done: One for each commit that was reached, oldest first.
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
    runner: Runner,
    commits: Sequence[Commit],
    *,
    repeat: int = 1,
    done_before: Mapping[str, int] | None = None,
    source: RunSource = "run",
    on_commit: Callable[[Commit], None] = lambda commit: None,
    on_launch: Callable[[LaunchResult], None] = lambda result: None,
    on_done: Callable[[CommitDone], None] = lambda done: None,
) -> RangeReport:
    """Measure `commits` in order; one that cannot be measured is reported and skipped.

    Every launch is stored before the next begins, so that an interruption loses only the running
    one.

    Args:
        recorder: Of the project in the store.
        runner: Measures one commit.
        commits: Oldest first.
        repeat: Launches a commit.
        done_before: Launches by full hash that count towards `repeat`; a commit that has them all
            is skipped.
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
            missing = repeat - (done_before or {}).get(commit.hash, 0)
            if missing <= 0:
                done = CommitDone(commit, skipped=True)
            else:
                done = _measure(recorder, runner, commit, missing, source, on_launch)
            report.done.append(done)
            on_done(done)
    except KeyboardInterrupt:
        report.interrupted = True
    runner.clean()
    return report


def launches_of(
    recorder: Recorder,
    runner: Runner,
    commits: Sequence[Commit],
    *,
    environment: str | None = None,
) -> dict[str, int]:
    """Return how often each of `commits` was launched with today's suites on the runner's machine.

    A launch counts if every benchmark that would run has a result of it at its present version;
    a failure is a result. Pairs of a gate and ingested results do not count, nor do launches in
    another environment than `environment`, if that is given.

    Raises:
        MeasurementError: The suites cannot be read; nothing could be measured either.
    """
    counts = count_launches(
        recorder.store,
        recorder.project,
        runner.machine,
        [commit.hash for commit in commits],
        environment=environment,
    )
    if not counts:
        return {}
    expected = {
        (info.name, info.version)
        for info in runner.discover(commits[-1].hash).values()
        if not runner.bench or any(re.search(pattern, info.name) for pattern in runner.bench)
    }
    return {
        digest: min((launches.get(benchmark, 0) for benchmark in expected), default=0)
        for digest, launches in counts.items()
    }


def _measure(
    recorder: Recorder,
    runner: Runner,
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
            last = recorder.checked(runner.launch(commit.hash))
            if last.faults:
                reasons = "; ".join(fault.text for fault in last.faults)
                last = None
                raise MeasurementError(f"{commit.short}: {reasons}")
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
        notes=last.notes if last else (),
        error=error,
        seconds=seconds,
    )
