"""What one asv run left behind: its result file, its suites and its failures, as one result."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from tracker.artifacts import read_launches
from tracker.asvfmt.benchmarks import read_benchmarks
from tracker.asvfmt.directory import read_machines, read_results_dir
from tracker.domain import BenchmarkInfo, Measurement, Problem, ResultFile
from tracker.errors import MeasurementError
from tracker.measure.asv.log import failed_benchmarks, fatal_reason
from tracker.measure.launch import FailedBenchmark, LaunchResult

__all__ = ["collect", "require_success"]


def require_success(commit: str, log: Path, code: int, bench: Sequence[str]) -> str:
    """Return the log of an asv run that measured or discovered something.

    Raises:
        MeasurementError: asv gave up; the message says why.
    """
    text = log.read_text(encoding="utf-8", errors="replace")
    if code in (0, 2):  # 2: some benchmarks failed
        return text
    reason = fatal_reason(text)
    if reason == "no benchmark matches":
        reason = f"no benchmark matches --bench {' '.join(map(repr, bench)) or '(all)'}"
    raise MeasurementError(f"{commit[:8]}: {reason} (asv exit code {code}; log: {log})", log=log)


def collect(commit: str, directory: Path, code: int, bench: Sequence[str]) -> LaunchResult:
    """Return what asv measured.

    Args:
        commit: Full hash.
        directory: Of the launch.
        code: asv's exit code.
        bench: The patterns that asv was given.

    Raises:
        MeasurementError: asv wrote no results; the message says why.
    """
    log = directory / "log.txt"
    text = require_success(commit, log, code, bench)
    short = commit[:8]
    results = directory / "results"
    read = list(read_results_dir(results))
    files = [item for item in read if isinstance(item, ResultFile) and item.commit == commit]
    if not files:
        unread = [f"; {item.reason}" for item in read if isinstance(item, Problem)]
        raise MeasurementError(f"{short}: asv wrote no result file{''.join(unread)}; see {log}")
    if len(files) > 1:
        names = ", ".join(sorted(file.env_name for file in files))
        raise MeasurementError(f"{short}: asv measured in several environments ({names}); give one")
    file = files[0]
    suites = read_benchmarks(results)
    machines, _ = read_machines(results)
    launches, unread_launches = read_launches(directory / "artifacts")
    failures = failed_benchmarks(text)
    failures += _unreadable(file, failures)
    return LaunchResult(
        commit=commit,
        directory=directory,
        file=_with_failures(file, failures, suites.infos),
        benchmarks=suites.infos,
        machine=next((m for m in machines if m.name == file.machine), None),
        launches=tuple(launches),
        failures=tuple(failures),
        unread=(*suites.problems, *unread_launches),
    )


def _unreadable(file: ResultFile, known: Sequence[FailedBenchmark]) -> list[FailedBenchmark]:
    """Benchmarks that returned something that is no number, which asv accepts silently."""
    names = {failure.name for failure in known}
    return [
        FailedBenchmark(problem.benchmark, problem.reason)
        for problem in file.problems
        if problem.benchmark is not None and problem.benchmark not in names
    ]


def _with_failures(
    file: ResultFile,
    failures: Sequence[FailedBenchmark],
    benchmarks: Mapping[str, BenchmarkInfo],
) -> ResultFile:
    """Mark timeouts, and add benchmarks that returned no number as failures."""
    slow = {failure.name for failure in failures if failure.timed_out}
    measurements = [
        dataclasses.replace(m, status="timeout")
        if m.benchmark in slow and m.status == "failed"
        else m
        for m in file.measurements
    ]
    present = {m.benchmark for m in measurements}
    for failure in failures:
        info = benchmarks.get(failure.name)
        # With parameters it is not known which of them failed.
        if failure.name not in present and info is not None and not info.param_names:
            present.add(failure.name)
            measurements.append(
                Measurement(
                    benchmark=info.name,
                    version=info.version,
                    param_index=0,
                    params=(),
                    status="failed",
                    value=None,
                    started_at=max(
                        (m.started_at for m in measurements if m.started_at), default=None
                    ),
                )
            )
    return dataclasses.replace(file, measurements=tuple(measurements))
