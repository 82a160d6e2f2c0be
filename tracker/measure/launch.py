"""What measures one launch of one commit (`Runner`), and its result (`LaunchResult`).

The gate, `tracker run`, the schedule, calibration and bisection know these names and no
measuring tool. `runners.py` makes the runner that a project's settings name.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from tracker.domain import (
    BenchmarkInfo,
    Launch,
    MachineInfo,
    Problem,
    ResultFile,
    metric_name,
)
from tracker.measure.project import MeasuredProject

__all__ = [
    "FailedBenchmark",
    "LaunchFault",
    "LaunchResult",
    "OnLine",
    "Runner",
    "benchmarks_by_metric",
    "measuring_clock",
]

OnLine = Callable[[str], None]
FaultKind = Literal["code", "build", "unseen", "device"]


@dataclass(frozen=True, slots=True)
class FailedBenchmark:
    """One benchmark that gave no number, or not at every parameter point.

    Attributes:
        name: Its name.
        reason: The last line of what it wrote, in one sentence.
        timed_out: Whether it was stopped.
        log: The last lines that it wrote.
    """

    name: str
    reason: str
    timed_out: bool = False
    log: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LaunchFault:
    """Why the values of a launch must not count, although it measured some.

    Attributes:
        kind: "code": other code than the commit's was measured; "build": a compiled part belongs
            to another commit; "unseen": none of the commit's code was seen to run; "device": a GPU
            in quarantine served it.
        text: Cause and mend, in one sentence.
    """

    kind: FaultKind
    text: str


@dataclass(frozen=True, slots=True)
class LaunchResult:
    """What one launch measured.

    Attributes:
        commit: The commit measured, full hash.
        directory: Private directory of the launch: configuration, log, results, artifacts.
        file: The results as read; timeouts are distinguished from other failures. Its `env_name`
            names the environment that was measured.
        benchmarks: The benchmarks that the suites define, by name.
        machine: Description of the machine, where the measuring tool writes one.
        launches: Headers of the launch artifacts the suites wrote; empty for most projects.
        failures: Benchmarks without a number, with reasons.
        seconds: Wall time.
        unread: Other files of the launch that could not be read.
        faults: Reasons for which no value of this launch counts.
        notes: What could not be proved about this launch, in sentences.
    """

    commit: str
    directory: Path
    file: ResultFile
    benchmarks: Mapping[str, BenchmarkInfo]
    machine: MachineInfo | None
    launches: tuple[Launch, ...] = ()
    failures: tuple[FailedBenchmark, ...] = ()
    seconds: float = 0.0
    unread: tuple[Problem, ...] = ()
    faults: tuple[LaunchFault, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def log(self) -> Path:
        return self.directory / "log.txt"

    @property
    def environment(self) -> str:
        """Name of the environment that was measured."""
        return self.file.env_name

    @property
    def expected(self) -> int:
        """Values that were asked for: benchmarks times parameter points, less those skipped."""
        return sum(m.status != "skipped" for m in self.file.measurements)

    @property
    def measured(self) -> int:
        return sum(m.status == "ok" for m in self.file.measurements)

    def values(self) -> dict[str, float]:
        """Return the launch's value of every metric that has one."""
        return {
            metric_name(m.benchmark, m.params): m.value
            for m in self.file.measurements
            if m.status == "ok" and m.value is not None
        }

    def failed(self) -> dict[str, str]:
        """Return the metrics that should have a value and have none, with reasons."""
        reasons = {failure.name: failure.reason for failure in self.failures}
        return {
            metric_name(m.benchmark, m.params): reasons.get(m.benchmark, m.status)
            for m in self.file.measurements
            if m.status in ("failed", "timeout")
        }

    def skipped(self) -> frozenset[str]:
        """Return the metrics that the suite declined to measure this time."""
        return frozenset(
            metric_name(m.benchmark, m.params)
            for m in self.file.measurements
            if m.status == "skipped"
        )

    def problems(self) -> list[Problem]:
        """Return what the store should remember of the launch's failures."""
        failed = [
            Problem(path=str(self.log), reason=f.reason, benchmark=f.name) for f in self.failures
        ]
        return [*self.unread, *failed]


def benchmarks_by_metric(launch: LaunchResult) -> dict[str, BenchmarkInfo]:
    """Return the benchmark of every metric of a launch, in the order of the file."""
    return {
        metric_name(m.benchmark, m.params): launch.benchmarks[m.benchmark]
        for m in launch.file.measurements
    }


class Runner(Protocol):
    """Measures launches of commits of one project on this machine.

    Attributes:
        project: What is measured.
        machine: Name the results carry.
        python: The measured interpreter, for the fingerprint of suites that write none.
        bench: Regular expressions of the benchmarks that are measured; all when empty.
        waited: Seconds so far in which another measurement had the machine; they count against
            no budget.
    """

    @property
    def project(self) -> MeasuredProject: ...
    @property
    def machine(self) -> str: ...
    @property
    def python(self) -> str: ...
    @property
    def bench(self) -> tuple[str, ...]: ...
    @property
    def waited(self) -> float: ...

    def launch(
        self,
        commit: str,
        *,
        bench: Sequence[str] | None = None,
        on_line: OnLine | None = None,
    ) -> LaunchResult:
        """Measure `commit` once.

        Args:
            commit: Full hash.
            bench: Instead of the runner's own `bench`.
            on_line: Called with every line of the log as it is written.

        Raises:
            MeasurementError: Nothing was measured; the message says why and where the log is.
        """
        ...

    def discover(self, commit: str) -> Mapping[str, BenchmarkInfo]:
        """Return the benchmarks of the present suites, without running any.

        Args:
            commit: Full hash of the tree they are imported with.

        Raises:
            MeasurementError: The suites cannot be read.
        """
        ...

    def clean(self) -> None:
        """Remove old worktrees and launch folders."""
        ...


def measuring_clock(runner: Runner) -> Callable[[], float]:
    """Return a monotonic clock, in seconds, that stands still while another measurement has the machine."""
    return lambda: time.monotonic() - runner.waited
