"""Launches by asv: asv run once on one commit, its results private to that run."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tracker.artifacts import read_launch
from tracker.asvfmt.benchmarks import read_benchmarks
from tracker.domain import BenchmarkInfo, Fingerprint, Launch
from tracker.fingerprint import collect as collect_fingerprint
from tracker.measure.asv.environments import asv_python
from tracker.measure.asv.results import collect, require_success
from tracker.measure.control import control_times, suites_without_control, write_controls
from tracker.measure.imports import RECORDING
from tracker.measure.launch import LaunchResult, OnLine
from tracker.measure.machine import register_machine
from tracker.measure.process import run_logged
from tracker.measure.project import MeasuredProject
from tracker.measure.settings import MeasureSettings
from tracker.measure.site import LaunchSite
from tracker.measure.worktree import NO_HOOKS
from tracker.measure.worktree_runner import WorktreeRunner

__all__ = ["AsvRunner"]

# asv's command line, with another file for its record of machines: asv has no option for that.
_ASV = (
    "import sys; from asv.machine import MachineCollection; "
    "MachineCollection.get_machine_file_path = staticmethod(lambda file=sys.argv.pop(1): file); "
    "from asv.main import main; main()"
)


class AsvRunner(WorktreeRunner):
    """Runs asv on commits of one project.

    Args:
        project: What to measure.
        settings: `[measure]` of the policy.
        environment: Name of the environment to measure, where asv builds several.
        options: See `WorktreeRunner`; `python` is ignored where asv builds environments.
    """

    def __init__(
        self,
        project: MeasuredProject,
        settings: MeasureSettings | None = None,
        *,
        environment: str | None = None,
        **options: Any,
    ) -> None:
        home = project.config_path.parent
        self._env_dir = (home / str(project.config.get("env_dir", "env"))).resolve()
        environments = self._env_dir if project.builds_environments else None
        super().__init__(project, settings, environments=environments, **options)
        self.environment = environment
        self._asv_python = asv_python(self.python)
        self._suites_need_control = True
        self._fingerprint: Fingerprint | None = None

    def _measure(
        self, site: LaunchSite, bench: Sequence[str], on_line: OnLine | None
    ) -> LaunchResult:
        control = self._settings.control
        before = control_times() if control and self._suites_need_control else None
        code = self._run(site, bench, on_line)
        result = collect(site.commit, site.folder, code, bench)
        return self._with_control(result, before) if control else result

    def _with_control(
        self, result: LaunchResult, before: Mapping[str, float] | None
    ) -> LaunchResult:
        """Add the control's times for the suites that wrote none."""
        names = {measurement.benchmark for measurement in result.file.measurements}
        suites = suites_without_control(names, result.launches)
        self._suites_need_control = bool(suites)  # known before the next launch
        after = control_times() if suites and before is not None else None
        if before is None or after is None:
            return result
        if self._fingerprint is None:
            self._fingerprint = collect_fingerprint(self.python)
        files = write_controls(
            result.directory / "artifacts",
            suites,
            before=before,
            after=after,
            fingerprint=self._fingerprint,
        )
        added = [launch for file in files if isinstance(launch := read_launch(file), Launch)]
        return dataclasses.replace(result, launches=(*result.launches, *added))

    def discover(self, commit: str) -> Mapping[str, BenchmarkInfo]:
        with self._sites.open(commit) as site:
            code = self._run(site, ("just-discover",), None)
            require_success(commit, site.log, code, ())
            return read_benchmarks(site.folder / "results").infos

    def _run(self, site: LaunchSite, bench: Sequence[str], on_line: OnLine | None) -> int:
        """Run asv at `site`; return its exit code."""
        machines = register_machine(self.machine, self._asv_python, site.folder)
        config = self._write_config(site)
        command = [*self._prefix, self._asv_python, "-c", _ASV]
        command += [str(machines), "run", "--config", str(config)]
        command += ["--launch-method", "forkserver", "--record-samples", "--show-stderr"]
        command += ["--machine", self.machine]
        for pattern in bench:
            command += ["--bench", pattern]
        if self.project.builds_environments:
            if self.environment is not None:
                command += ["--environment", self.environment]
            command.append(f"{site.commit}^!")
        else:
            command += ["--environment", f"existing:{self.python}"]
            command += ["--set-commit-hash", site.commit]
        return run_logged(
            command,
            directory=site.folder,
            environment=self._variables(site),
            log=site.log,
            timeout=self._timeout,
            on_line=on_line,
        )

    def _variables(self, site: LaunchSite) -> dict[str, str]:
        variables = dict(site.environment)
        # Of asv's processes only those that run benchmarks are to record their imports.
        variables["PACEKEEPER_IMPORTS_OF_ASV"] = variables.pop("PACEKEEPER_IMPORTS")
        if self.project.builds_environments:
            # asv makes it the PYTHONPATH of its environments, and of their builds.
            variables["ASV_PYTHONPATH"] = str(RECORDING)
            del variables["PYTHONPATH"]
            count = int(variables.get("GIT_CONFIG_COUNT", "0"))  # of asv's own clones
            key, _, value = NO_HOOKS[1].partition("=")
            variables[f"GIT_CONFIG_KEY_{count}"] = key
            variables[f"GIT_CONFIG_VALUE_{count}"] = value
            variables["GIT_CONFIG_COUNT"] = str(count + 1)
        else:
            variables["ASV_PYTHONPATH"] = os.pathsep.join(site.paths)
        return variables

    def _write_config(self, site: LaunchSite) -> Path:
        """Write the project's configuration with absolute paths and a results_dir of its own."""
        config = dict(self.project.config)
        config.setdefault("environment_type", "existing")
        config["repo"] = str(self.project.repository.root)
        # asv resolves every branch even where it measures none; "master" is its default.
        config["branches"] = [site.commit]
        config["benchmark_dir"] = str(self.project.benchmark_dir)
        config["results_dir"] = str(site.folder / "results")
        config["html_dir"] = str(site.folder / "html")
        config["env_dir"] = str(self._env_dir)
        config.setdefault("version", 1)
        path = site.folder / "asv.conf.json"
        path.write_text(json.dumps(config, indent=1), encoding="utf-8")
        return path
