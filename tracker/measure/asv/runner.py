"""Launches by asv: asv run once on one commit, its results private to that run."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from shutil import which

from tracker.asvfmt.benchmarks import read_benchmarks
from tracker.domain import BenchmarkInfo
from tracker.errors import UsageError
from tracker.measure.asv.results import collect, require_success
from tracker.measure.folder import launch_folder
from tracker.measure.launch import LaunchResult, OnLine
from tracker.measure.machine import register_machine
from tracker.measure.process import run_logged
from tracker.measure.project import AsvProject
from tracker.measure.settings import MeasureSettings
from tracker.measure.worktree import Worktrees, state_dir

__all__ = ["AsvRunner"]


class AsvRunner:
    """Runs asv on commits of one project.

    Args:
        project: What to measure.
        machine: Name the results carry.
        python: Interpreter of the existing environment; ignored where asv builds environments.
        bench: Regular expressions of benchmarks; all when empty.
        timeout: Seconds after which a whole launch is stopped.
        settings: `[measure]` of the policy.

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
        settings: MeasureSettings = MeasureSettings(),  # noqa: B008 -- frozen
    ) -> None:
        if python is not None and which(python) is None:
            raise UsageError(f"--python {python}: no such interpreter")
        self.project = project
        self.machine = machine
        self.python = python or sys.executable
        self.bench = tuple(bench)
        self.timeout = timeout
        self.settings = settings
        self.worktrees = Worktrees(project.repository)
        # asv itself may live beside the tracker while the measured interpreter has asv_runner only.
        self._asv_python = sys.executable if find_spec("asv") else self.python
        self._registered = False

    def launch(
        self,
        commit: str,
        *,
        bench: Sequence[str] | None = None,
        on_line: OnLine | None = None,
    ) -> LaunchResult:
        wanted = self.bench if bench is None else tuple(bench)
        started = time.monotonic()
        directory, code = self._asv_run(commit, wanted, on_line)
        return collect(commit, directory, code, wanted, time.monotonic() - started)

    def discover(self, commit: str) -> Mapping[str, BenchmarkInfo]:
        directory, code = self._asv_run(commit, ("just-discover",), None)
        require_success(commit, directory / "log.txt", code, ())
        return read_benchmarks(directory / "results").infos

    def clean(self) -> None:
        self.worktrees.prune()

    def _asv_run(
        self, commit: str, wanted: Sequence[str], on_line: OnLine | None
    ) -> tuple[Path, int]:
        """Run asv on `commit`; return the launch's directory and asv's exit code."""
        if not self._registered:
            register_machine(self.machine, self._asv_python)
            self._registered = True
        directory = launch_folder(state_dir(self.project.repository.root), commit)
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
        on_line: OnLine | None,
    ) -> int:
        return run_logged(
            command,
            directory=directory,
            environment=environment,
            log=directory / "log.txt",
            timeout=self.timeout,
            on_line=on_line,
        )
