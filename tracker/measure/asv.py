"""One launch: asv run once on one commit, its results private to that run.

asv overwrites a commit's result file at the next run of it, stores no reason for a failure and
exits with 1 for everything from a typo to a broken suite; this module hands back what was
measured, what was not and why, and raises where nothing was.
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from shutil import which

from tracker.artifacts import read_launches
from tracker.asvfmt.benchmarks import read_benchmarks
from tracker.asvfmt.directory import read_machines, read_results_dir
from tracker.domain import (
    BenchmarkInfo,
    Launch,
    MachineInfo,
    Measurement,
    Problem,
    ResultFile,
    metric_name,
)
from tracker.errors import MeasurementError, UsageError
from tracker.measure.asvlog import FailedBenchmark, failed_benchmarks, fatal_reason
from tracker.measure.machine import register_machine
from tracker.measure.project import AsvProject
from tracker.measure.worktree import Worktrees, state_dir

__all__ = ["AsvRunner", "LaunchResult"]

_GRACE = 10.0  # seconds that asv gets to end its children before they are killed


@dataclass(frozen=True, slots=True)
class LaunchResult:
    """What one launch measured.

    Attributes:
        commit: The commit measured, full hash.
        directory: Private directory of the launch: configuration, log, results, artifacts.
        file: The result file as read; timeouts are told from other failures.
        benchmarks: What asv found, by name.
        machine: asv's description of the machine.
        launches: Headers of the launch artifacts the suites wrote; empty for most projects.
        failures: Benchmarks without a number, with reasons.
        seconds: Wall time of asv.
        unread: Other files of the launch that could not be read.
    """

    commit: str
    directory: Path
    file: ResultFile
    benchmarks: Mapping[str, BenchmarkInfo]
    machine: MachineInfo | None
    launches: tuple[Launch, ...]
    failures: tuple[FailedBenchmark, ...]
    seconds: float
    unread: tuple[Problem, ...] = ()

    @property
    def log(self) -> Path:
        return self.directory / "log.txt"

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

    def problems(self) -> list[Problem]:
        """Return what the store should remember of the launch's failures."""
        told = [
            Problem(path=str(self.log), reason=f.reason, benchmark=f.name) for f in self.failures
        ]
        return [*self.unread, *told]


class AsvRunner:
    """Runs asv on commits of one project.

    Args:
        project: What to measure.
        machine: Name the results carry.
        python: Interpreter of the existing environment; ignored where asv builds environments.
        bench: Regular expressions of benchmarks; all when empty.
        timeout: Seconds after which a whole launch is stopped; None for never.

    Raises:
        UsageError: There is no such interpreter.
    """

    def __init__(
        self,
        project: AsvProject,
        *,
        machine: str,
        python: str | None = None,
        bench: Sequence[str] = (),
        timeout: float | None = None,
    ) -> None:
        if python is not None and which(python) is None:
            raise UsageError(f"--python {python}: no such interpreter")
        self.project = project
        self.machine = machine
        self.python = python or sys.executable
        self.bench = tuple(bench)
        self.timeout = timeout
        self.worktrees = Worktrees(project.repository)
        # asv itself may live beside the tracker while the measured interpreter has asv_runner only.
        self._asv_python = sys.executable if find_spec("asv") else self.python
        self._registered = False

    def launch(
        self,
        commit: str,
        *,
        bench: Sequence[str] | None = None,
        on_line: Callable[[str], None] | None = None,
    ) -> LaunchResult:
        """Measure `commit` once.

        Args:
            commit: Full hash.
            bench: Instead of the runner's own `bench`.
            on_line: Called with every line of asv's log as it comes.

        Raises:
            MeasurementError: Nothing was measured; the message says why and where the log is.
        """
        wanted = self.bench if bench is None else tuple(bench)
        started = time.monotonic()
        directory, code = self._asv_run(commit, wanted, on_line)
        return self._collect(commit, directory, code, wanted, time.monotonic() - started)

    def discover(self, commit: str) -> Mapping[str, BenchmarkInfo]:
        """Return the benchmarks of the present suites, without running any.

        Args:
            commit: Full hash of the tree they are imported with.

        Raises:
            MeasurementError: The suites cannot be imported.
        """
        directory, code = self._asv_run(commit, ("just-discover",), None)
        log = directory / "log.txt"
        if code != 0:
            reason = fatal_reason(log.read_text(encoding="utf-8", errors="replace"))
            raise MeasurementError(f"{commit[:8]}: {reason} (asv exit code {code}; log: {log})")
        return read_benchmarks(directory / "results").infos

    def _asv_run(
        self, commit: str, wanted: Sequence[str], on_line: Callable[[str], None] | None
    ) -> tuple[Path, int]:
        """Run asv on `commit`; return the launch's directory and asv's exit code."""
        if not self._registered:
            register_machine(self.machine, self._asv_python)
            self._registered = True
        directory = _private_directory(state_dir(self.project.repository.root), commit)
        config = self._write_config(directory, commit)
        if self.project.builds_environments:
            command = self._command(config, wanted, [f"{commit}^!"])
            code = self._run(command, directory, dict(os.environ), on_line)
        else:
            with self.worktrees.checkout(commit) as tree:
                existing = ["-E", f"existing:{self.python}", "--set-commit-hash", commit]
                command = self._command(config, wanted, existing)
                code = self._run(command, directory, self._environment(tree, directory), on_line)
        return directory, code

    def _command(self, config: Path, bench: Sequence[str], what: Sequence[str]) -> list[str]:
        command = [self._asv_python, "-m", "asv", "run", "--config", str(config)]
        command += ["--launch-method", "forkserver", "--record-samples", "--show-stderr"]
        command += ["--machine", self.machine]
        for pattern in bench:
            command += ["--bench", pattern]
        return [*command, *what]

    def _environment(self, tree: Path, directory: Path) -> dict[str, str]:
        environment = dict(os.environ)
        paths = [str((tree / part).resolve()) for part in self.project.source]
        environment["ASV_PYTHONPATH"] = os.pathsep.join(paths)
        environment["PACEKEEPER_SOURCE"] = str(tree)
        environment["PACEKEEPER_ARTIFACTS"] = str(directory / "artifacts")
        return environment

    def _write_config(self, directory: Path, commit: str) -> Path:
        """Write the project's configuration with absolute paths and a results_dir of its own."""
        home = self.project.config_path.parent
        config = dict(self.project.config)
        config.setdefault("environment_type", "existing")
        repo = str(config.get("repo", "."))
        if (home / repo).is_dir():
            repo = str(self.project.repository.root)
        config["repo"] = repo
        # asv resolves every branch even where it measures none; "master" is its default.
        config["branches"] = [commit]
        config["benchmark_dir"] = str(self.project.benchmark_dir)
        config["results_dir"] = str(directory / "results")
        config["html_dir"] = str(directory / "html")
        config["env_dir"] = str((home / str(config.get("env_dir", "env"))).resolve())
        config.setdefault("version", 1)
        path = directory / "asv.conf.json"
        path.write_text(json.dumps(config, indent=1), encoding="utf-8")
        return path

    def _run(
        self,
        command: Sequence[str],
        directory: Path,
        environment: Mapping[str, str],
        on_line: Callable[[str], None] | None,
    ) -> int:
        log = directory / "log.txt"
        timed_out = threading.Event()
        with log.open("w", encoding="utf-8") as handle:
            process = subprocess.Popen(
                command,
                cwd=directory,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                encoding="utf-8",
                errors="replace",
                start_new_session=True,  # so that it can be ended with all it started
            )
            watchdog: threading.Timer | None = None
            if self.timeout is not None:

                def stop() -> None:
                    timed_out.set()
                    _end(process)

                watchdog = threading.Timer(self.timeout, stop)
                watchdog.daemon = True
                watchdog.start()
            try:
                assert process.stdout is not None
                for line in process.stdout:
                    handle.write(line)
                    handle.flush()
                    if on_line is not None:
                        on_line(line.rstrip("\n"))
                code = process.wait()
            finally:
                if watchdog is not None:
                    watchdog.cancel()
                _end(process)
                if process.stdout is not None:
                    process.stdout.close()
        if timed_out.is_set():
            raise MeasurementError(
                f"the launch was stopped after {self.timeout:g} s; see {log}; raise --timeout "
                "or narrow --bench"
            )
        return code

    def _collect(
        self, commit: str, directory: Path, code: int, bench: Sequence[str], seconds: float
    ) -> LaunchResult:
        log = directory / "log.txt"
        text = log.read_text(encoding="utf-8", errors="replace")
        short = commit[:8]
        if code not in (0, 2):
            reason = fatal_reason(text)
            if reason == "no benchmark matches":
                reason = f"no benchmark matches --bench {' '.join(map(repr, bench)) or '(all)'}"
            raise MeasurementError(f"{short}: {reason} (asv exit code {code}; log: {log})")
        results = directory / "results"
        read = list(read_results_dir(results))
        files = [file for file in read if isinstance(file, ResultFile) and file.commit == commit]
        if not files:
            unread = [f"; {found.reason}" for found in read if isinstance(found, Problem)]
            raise MeasurementError(f"{short}: asv wrote no result file{''.join(unread)}; see {log}")
        if len(files) > 1:
            names = ", ".join(sorted(file.env_name for file in files))
            raise MeasurementError(
                f"{short}: asv measured in several environments ({names}); give one"
            )
        file = files[0]
        suites = read_benchmarks(results)
        machines, _ = read_machines(results)
        launches, unread_launches = read_launches(directory / "artifacts")
        failures = failed_benchmarks(text)
        failures += _unreadable(file, failures)
        result = LaunchResult(
            commit=commit,
            directory=directory,
            file=_tell_failures(file, failures, suites.infos),
            benchmarks=suites.infos,
            machine=next((m for m in machines if m.name == file.machine), None),
            launches=tuple(launches),
            failures=tuple(failures),
            unread=(*suites.problems, *unread_launches),
            seconds=seconds,
        )
        if not result.measured:
            why = _summed_up(failures)
            raise MeasurementError(f"{short}: nothing was measured: {why} (log: {log})")
        return result


def _summed_up(failures: Sequence[FailedBenchmark]) -> str:
    """What went wrong with all of them, each reason once."""
    reasons: dict[str, list[str]] = {}
    for failure in failures:
        reasons.setdefault(failure.reason, []).append(failure.name)
    told = [
        f"{names[0]}{f' and {len(names) - 1} more' if len(names) > 1 else ''}: {reason}"
        for reason, names in reasons.items()
    ]
    return "; ".join(told[:3]) or "no benchmark ran"


def _unreadable(file: ResultFile, known: Sequence[FailedBenchmark]) -> list[FailedBenchmark]:
    """Benchmarks that ran and returned what is no number, which asv takes without a word."""
    names = {failure.name for failure in known}
    return [
        FailedBenchmark(problem.benchmark, problem.reason)
        for problem in file.problems
        if problem.benchmark is not None and problem.benchmark not in names
    ]


def _tell_failures(
    file: ResultFile,
    failures: Sequence[FailedBenchmark],
    benchmarks: Mapping[str, BenchmarkInfo],
) -> ResultFile:
    """Tell timeouts from other failures, and make what returned no number a failure, too."""
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


def _private_directory(state: Path, commit: str) -> Path:
    launches = state / "launches"
    launches.mkdir(exist_ok=True)
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    directory = Path(tempfile.mkdtemp(prefix=f"{stamp}-{commit[:8]}-", dir=launches))
    (directory / "results").mkdir()
    (directory / "artifacts").mkdir()
    return directory


def _end(process: subprocess.Popen[str]) -> None:
    """End asv and everything of its session: politely first, for it ends its own children."""
    try:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(_GRACE)
    except subprocess.TimeoutExpired:
        pass
    finally:  # also when a signal breaks off the wait
        for pid in _session_members(process.pid):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        process.wait()


def _session_members(session: int) -> list[int]:
    """Processes of a session; asv gives each benchmark a process group of its own."""
    members: list[int] = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            members.append(int(entry.name))
    return members
