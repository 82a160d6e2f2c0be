"""The frame of a launch that all runners share; what measures is each runner's own."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from shutil import which

from tracker.domain import BenchmarkInfo, metric_name
from tracker.errors import MeasurementError, UsageError
from tracker.measure.launch import LaunchResult, OnLine
from tracker.measure.process import run_shell
from tracker.measure.project import MeasuredProject
from tracker.measure.settings import MeasureSettings
from tracker.measure.site import LaunchSite, LaunchSites, OnWait
from tracker.report.numbers import some_of

__all__ = ["WorktreeRunner", "matching"]


class WorktreeRunner:
    """A runner whose launches happen in the commit's worktree, as `[measure]` says.

    Args:
        project: What to measure.
        settings: `[measure]` of the policy.
        machine: Name the results carry.
        python: The measured interpreter, and what `python` means in builds; this one by default.
        bench: Regular expressions of the benchmarks that count; all when empty.
        timeout: Seconds after which a launch, a build or a deployment is stopped.
        environments: Where asv builds environments; None where none are built.
        variables: What measured processes see beside the user's own environment.
        prefix: Program and arguments that the measuring command is put behind: a profiler.
        on_wait: Called with a sentence when another measurement has the machine.

    Raises:
        UsageError: There is no such interpreter.
    """

    def __init__(
        self,
        project: MeasuredProject,
        settings: MeasureSettings | None = None,
        *,
        machine: str,
        python: str | None = None,
        bench: Sequence[str] = (),
        timeout: float | None = None,
        environments: Path | None = None,
        variables: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
        on_wait: OnWait | None = None,
    ) -> None:
        if python is not None and which(python) is None:
            raise UsageError(f"--python {python}: no such interpreter")
        self.project = project
        self.machine = machine
        self.python = (which(python) if python else None) or sys.executable
        self.bench = tuple(bench)
        self._settings = settings or MeasureSettings()
        self._timeout = timeout
        self._prefix = tuple(prefix)
        self._sites = LaunchSites(
            project,
            self._settings,
            python=self.python,
            timeout=timeout,
            environments=environments,
            variables=variables,
            on_wait=on_wait,
        )

    @property
    def waited(self) -> float:
        """See `Runner.waited`."""
        return self._sites.waited

    def launch(
        self,
        commit: str,
        *,
        bench: Sequence[str] | None = None,
        on_line: OnLine | None = None,
    ) -> LaunchResult:
        """See `Runner.launch`."""
        with self._sites.open(commit) as site:
            began = time.monotonic()
            result = self._measure(site, self.bench if bench is None else tuple(bench), on_line)
            seconds = time.monotonic() - began
            faults, notes = self._sites.proof(site)
        # Of a launch without a value only other code matters: a killed process leaves no record.
        wrong_code = any(fault.kind != "unseen" for fault in faults)
        if not result.measured and not wrong_code and (result.failures or not result.skipped()):
            raise MeasurementError(
                f"{commit[:8]}: nothing was measured: {_reasons(result)} (log: {site.log})",
                log=site.log,
            )
        return replace(result, seconds=seconds, faults=faults, notes=notes)

    def _measure(
        self, site: LaunchSite, bench: Sequence[str], on_line: OnLine | None
    ) -> LaunchResult:
        """Return what a launch at `site` measures; what it cost and proves is filled in by `launch`."""
        raise NotImplementedError

    def _run_shell(self, what: str, command: str, site: LaunchSite, on_line: OnLine | None) -> None:
        """Run a shell command in the worktree of `site`; see `run_shell`."""
        run_shell(
            f"{site.commit[:8]}: {what}", command, directory=site.tree, environment=site.environment,
            log=site.log, timeout=self._timeout, on_line=on_line,
        )  # fmt: skip

    def discover(self, commit: str) -> Mapping[str, BenchmarkInfo]:
        """Return what a launch of `commit` measures, which is known only once it ran."""
        return self.launch(commit, bench=()).benchmarks

    def clean(self) -> None:
        """Remove old worktrees and launch folders."""
        self._sites.clean()


def matching(result: LaunchResult, bench: Sequence[str]) -> LaunchResult:
    """Return the launch with only the benchmarks that one of the patterns fits; all when empty.

    Raises:
        MeasurementError: None fits.
    """
    if not bench:
        return result
    kept = tuple(
        m
        for m in result.file.measurements
        if any(re.search(pattern, metric_name(m.benchmark, m.params)) for pattern in bench)
    )
    if not kept:
        known = ", ".join(sorted(result.benchmarks)[:5])
        raise MeasurementError(
            f"{result.commit[:8]}: no benchmark matches --bench {' '.join(map(repr, bench))}; "
            f"there are: {known}"
        )
    names = {m.benchmark for m in kept}
    return replace(
        result,
        file=replace(result.file, measurements=kept),
        benchmarks={k: v for k, v in result.benchmarks.items() if k in names},
        failures=tuple(f for f in result.failures if f.name in names),
    )


def _reasons(result: LaunchResult) -> str:
    """Why a launch has no value, each reason once."""
    names: dict[str, list[str]] = {}
    for failure in result.failures:
        names.setdefault(failure.reason, []).append(failure.name)
    reasons = [f"{some_of(same, 1)}: {reason}" for reason, same in names.items()]
    reasons += [problem.reason for problem in result.unread]
    return "; ".join(reasons[:3]) or "no benchmark ran"
