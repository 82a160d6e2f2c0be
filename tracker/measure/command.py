"""Launches by a command: any program that writes a file of a known format, run once on one commit."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote

from tracker.domain import BenchmarkInfo, Measurement, Problem, ResultFile, metric_name
from tracker.errors import MeasurementError
from tracker.measure.launch import FailedBenchmark, LaunchResult, OnLine
from tracker.measure.machine import describe_machine
from tracker.measure.site import LaunchSite
from tracker.measure.worktree_runner import WorktreeRunner, matching
from tracker.readers import Given, Reading, read_file

__all__ = ["CommandRunner"]


class CommandRunner(WorktreeRunner):
    """Runs `[measure] command` in commits' worktrees and reads what it writes."""

    def _measure(
        self, site: LaunchSite, bench: Sequence[str], on_line: OnLine | None
    ) -> LaunchResult:
        command = self._settings.command or ""
        (described,) = self.project.repository.describe([site.commit])
        given = Given(
            commit=site.commit,
            committed_at=described.committed_at,
            measured_at=datetime.now(UTC),
            machine=self.machine,
            environment=self._settings.environment,
        )
        out = quote(str(site.folder / "results" / "out"))
        self._run_shell("the command", command.replace("{out}", out), site, on_line)
        file, benchmarks, problems = _read(site, given, self._settings.format)
        result = LaunchResult(
            commit=site.commit,
            directory=site.folder,
            file=file,
            benchmarks=benchmarks,
            machine=describe_machine(self.machine),
            failures=failures_of(file, site.log),
            unread=problems,
        )
        return matching(result, bench)


def failures_of(file: ResultFile, log: Path) -> tuple[FailedBenchmark, ...]:
    """Return the benchmarks that failed, as the file says."""
    reasons = {p.benchmark: p.reason for p in file.problems if p.benchmark is not None}
    failed = dict.fromkeys(
        m.benchmark for m in file.measurements if m.status in ("failed", "timeout")
    )
    return tuple(
        FailedBenchmark(name, reasons.get(name, f"the file has no value of it; see {log}"))
        for name in failed
    )


def _read(
    site: LaunchSite, given: Given, form: str | None
) -> tuple[ResultFile, Mapping[str, BenchmarkInfo], tuple[Problem, ...]]:
    """Return what the command wrote: `{out}`, or files whose names begin so."""
    paths = sorted(path for path in (site.folder / "results").rglob("*") if path.is_file())
    if not paths:
        raise MeasurementError(
            f"{site.commit[:8]}: the command ended well and wrote no file to {{out}} (log: {site.log})",
            log=site.log,
        )
    readings = [read_file(path, given, format=form) for path in paths]
    files = [file for reading in readings for file in reading.files]
    problems = tuple(problem for reading in readings for problem in reading.problems)
    if not files:
        reasons = "; ".join(problem.reason for problem in problems)
        raise MeasurementError(
            f"{site.commit[:8]}: what the command wrote cannot be read: {reasons} ({paths[0]})"
        )
    measurements: dict[tuple[str, str, tuple[str, ...]], Measurement] = {}
    for file in files:
        for m in file.measurements:
            key = (m.benchmark, m.version, m.params)
            if key in measurements:
                raise MeasurementError(
                    f"{site.commit[:8]}: the command wrote {metric_name(m.benchmark, m.params)} "
                    f"twice; one run is one launch, with one value of each metric ({paths[0]})"
                )
            measurements[key] = m
    merged = dataclasses.replace(files[0], measurements=tuple(measurements.values()))
    return merged, _benchmarks(readings), problems


def _benchmarks(readings: Sequence[Reading]) -> dict[str, BenchmarkInfo]:
    return {name: info for reading in readings for name, info in reading.benchmarks.items()}
