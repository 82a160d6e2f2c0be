"""What the runners without asv share: their settings, their sites, the choice of benchmarks."""

from __future__ import annotations

import dataclasses
import re
import sys
from collections.abc import Mapping, Sequence

from tracker.domain import BenchmarkInfo, metric_name
from tracker.errors import MeasurementError
from tracker.measure.launch import LaunchResult, OnLine
from tracker.measure.project import MeasuredProject
from tracker.measure.settings import MeasureSettings
from tracker.measure.site import LaunchSites, OnWait

__all__ = ["WorktreeRunner", "chosen"]


class WorktreeRunner:
    """A runner whose launches happen in the commit's worktree, as `[measure]` says.

    Args:
        project: What to measure.
        settings: `[measure]` of the policy.
        machine: Name the results carry.
        python: What `python` means in builds; this interpreter by default.
        bench: Regular expressions of metrics that count; all when empty.
        timeout: Seconds for a build, a deployment or a command.
        on_wait: Called with a sentence when another measurement has the machine.
    """

    def __init__(
        self,
        project: MeasuredProject,
        settings: MeasureSettings,
        *,
        machine: str,
        python: str | None = None,
        bench: Sequence[str] = (),
        timeout: float | None = None,
        on_wait: OnWait | None = None,
    ) -> None:
        self.project = project
        self.machine = machine
        self.python = python or sys.executable
        self.bench = tuple(bench)
        self._settings = settings
        self._timeout = timeout
        self._sites = LaunchSites(
            project, settings, python=self.python, timeout=timeout, on_wait=on_wait
        )

    def launch(
        self,
        commit: str,
        *,
        bench: Sequence[str] | None = None,
        on_line: OnLine | None = None,
    ) -> LaunchResult:
        """See `Runner.launch`."""
        raise NotImplementedError

    def discover(self, commit: str) -> Mapping[str, BenchmarkInfo]:
        """Return what a launch of `commit` measures, which is known only once it ran."""
        return self.launch(commit, bench=()).benchmarks

    def clean(self) -> None:
        """Remove old worktrees and launch folders."""
        self._sites.clean()


def chosen(result: LaunchResult, bench: Sequence[str]) -> LaunchResult:
    """Return the launch with only the benchmarks that one of the patterns fits; all when empty.

    Raises:
        MeasurementError: None fits, or none of those has a value.
    """
    short = result.commit[:8]
    if bench:
        kept = tuple(
            m
            for m in result.file.measurements
            if any(re.search(pattern, metric_name(m.benchmark, m.params)) for pattern in bench)
        )
        if not kept:
            known = ", ".join(sorted(result.benchmarks)[:5])
            raise MeasurementError(
                f"{short}: no benchmark matches --bench {' '.join(map(repr, bench))}; there are: "
                f"{known}"
            )
        names = {m.benchmark for m in kept}
        result = dataclasses.replace(
            result,
            file=dataclasses.replace(result.file, measurements=kept),
            benchmarks={k: v for k, v in result.benchmarks.items() if k in names},
            failures=tuple(f for f in result.failures if f.name in names),
        )
    if not result.measured and not result.faults:
        reasons = [f"{f.name}: {f.reason}" for f in result.failures]
        reasons += [problem.reason for problem in result.unread]
        raise MeasurementError(
            f"{short}: nothing was measured: {'; '.join(reasons[:3]) or 'no value'} "
            f"(log: {result.log})"
        )
    return result
