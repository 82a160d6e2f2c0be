"""What every launch needs: the machine to itself, the commit's tree, a folder, variables without secrets.

After the launch it also proves that the commit's code ran.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tracker.errors import UsageError
from tracker.measure.build import CompiledSources, build_once, compiled_sources
from tracker.measure.environment import without_secrets
from tracker.measure.folder import launch_folder, remove_old_folders
from tracker.measure.imports import (
    RECORDING,
    Expected,
    Installed,
    import_faults,
    installed_from,
    read_records,
)
from tracker.measure.launch import LaunchFault
from tracker.measure.machine_lock import machine_lock
from tracker.measure.process import run_logged
from tracker.measure.project import MeasuredProject
from tracker.measure.settings import MeasureSettings
from tracker.measure.source_paths import source_paths
from tracker.measure.worktree import Worktrees, state_dir
from tracker.report.numbers import some_of

__all__ = ["LaunchSite", "LaunchSites", "OnWait"]

OnWait = Callable[[str], None]
_COMPILE_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class LaunchSite:
    """Where one launch happens.

    Attributes:
        commit: Full hash.
        tree: Its worktree, built where the project says how.
        folder: Private folder of the launch, with `results` and `artifacts` in it.
        paths: Absolute directories of the tree that are on the module path.
        environment: Variables for measured processes: no secrets; the commit's code first on
            PYTHONPATH; PACEKEEPER_SOURCE is the tree, PACEKEEPER_ARTIFACTS a place for artifacts.
    """

    commit: str
    tree: Path
    folder: Path
    paths: tuple[str, ...]
    environment: dict[str, str]

    @property
    def log(self) -> Path:
        return self.folder / "log.txt"

    @property
    def imports(self) -> Path:
        """Where measured processes record what they imported."""
        return self.folder / "imports"


class LaunchSites:
    """Makes the sites of a project's launches on this machine, one after the other.

    Args:
        project: What is measured.
        settings: `[measure]` of the policy.
        python: The measured interpreter.
        timeout: Seconds for a build.
        environments: Where asv builds environments; None where the interpreter is measured as it
            is.
        variables: What measured processes see beside the user's own environment.
        on_wait: Called with a sentence when another measurement has the machine, and when it is free.

    Attributes:
        waited: Seconds so far in which another measurement had the machine.
    """

    def __init__(
        self,
        project: MeasuredProject,
        settings: MeasureSettings,
        *,
        python: str,
        timeout: float | None = None,
        environments: Path | None = None,
        variables: Mapping[str, str] | None = None,
        on_wait: OnWait | None = None,
    ) -> None:
        self.project = project
        self.worktrees = Worktrees(project.repository)
        self._settings = settings
        self._python = python
        self._timeout = timeout
        self._environments = environments.resolve() if environments is not None else None
        self._variables = dict(variables or {})
        self._on_wait = on_wait or _say
        self._installed: list[Installed] | None = None
        self._compiled: dict[str, CompiledSources] = {}
        self._cleaned = False
        self.waited = 0.0

    @contextmanager
    def open(self, commit: str) -> Iterator[LaunchSite]:
        """Wait for the machine, then yield the site of one launch of `commit`.

        Raises:
            MeasurementError: The commit cannot be checked out or built.
        """
        root = self.project.repository.root
        who = f"{self.project.name} {commit[:8]} in {root}"
        with (
            machine_lock(who, on_wait=self._on_wait, on_waited=self._add_wait),
            self.worktrees.checkout(commit) as tree,
        ):
            if not self._cleaned:
                self._cleaned = True
                self.clean()
            folder = launch_folder(state_dir(root), commit)
            (folder / "imports").mkdir()
            variables = without_secrets(os.environ, keep=self._settings.keep_env)
            variables |= self._variables
            variables["PACEKEEPER_SOURCE"] = str(tree)
            variables["PACEKEEPER_ARTIFACTS"] = str(folder / "artifacts")
            if self._settings.device_hour is not None:
                variables["PACEKEEPER_DEVICE_HOUR"] = repr(self._settings.device_hour)
            if self._settings.build is not None:
                build_once(
                    tree,
                    self._settings.build,
                    python=self._python,
                    environment=variables,
                    folder=folder,
                    timeout=self._timeout,
                )
            relative = source_paths(tree, stated=self.project.source, subdir=self.project.subdir)
            paths = tuple(str((tree / part).resolve()) for part in relative)
            own = variables.get("PYTHONPATH")
            module_path = [str(RECORDING), *paths, *([own] if own else [])]
            variables["PYTHONPATH"] = os.pathsep.join(module_path)
            variables["PACEKEEPER_IMPORTS"] = str(folder / "imports")
            site = LaunchSite(commit, tree, folder, paths, variables)
            if self._environments is None:
                self._compile(site)
            yield site

    def proof(self, site: LaunchSite) -> tuple[tuple[LaunchFault, ...], tuple[str, ...]]:
        """Return why the launch at `site` did not measure the commit's code, and what is unproved."""
        root = self.project.repository.root
        suites = self.project.benchmark_dir
        compiled = self._compiled_sources(site.commit)
        changed: list[str] = []
        builds = self._settings.build is not None or self._environments is not None
        if not builds:
            changed = compiled.changed(self._in_checkout())
        faults, notes = import_faults(
            read_records(site.imports),
            Expected(
                tree=site.tree.resolve(),
                paths=[os.path.relpath(path, site.tree.resolve()) for path in site.paths],
                checkout=root.resolve(),
                suites=suites.resolve() if suites is not None else None,
                environments=self._environments,
                installed=self._installed_from(),
                compiled=compiled.modules,
                compiled_as_in_checkout=not changed and not builds,
            ),
        )
        if changed:
            faults.append(LaunchFault("build", _build_text(changed)))
        return tuple(faults), tuple(notes)

    def clean(self) -> None:
        """Remove old worktrees and launch folders."""
        self.worktrees.prune()
        remove_old_folders(state_dir(self.project.repository.root))

    def _add_wait(self, seconds: float) -> None:
        self.waited += seconds
        self._on_wait(f"waited {seconds:.0f} s for the machine")

    def _installed_from(self) -> list[Installed]:
        if self._environments is not None:
            return []  # asv installs the commit there; the tree says what it provides
        if self._installed is None:
            root = self.project.repository.root
            self._installed = installed_from(self._python, root, [self.project.name])
        return self._installed

    def _in_checkout(self) -> CompiledSources:
        """The compiled sources of the checkout, from which an existing environment was built."""
        try:
            return self._compiled_sources(self.project.repository.resolve("HEAD"))
        except UsageError:
            return CompiledSources({})

    def _compiled_sources(self, commit: str) -> CompiledSources:
        if commit not in self._compiled:
            self._compiled[commit] = compiled_sources(self.project.repository, commit)
        return self._compiled[commit]

    def _compile(self, site: LaunchSite) -> None:
        """Byte-compile a new tree, so that its first launch imports as fast as all others."""
        marker = site.tree.with_name(f"{site.tree.name}.compiled")
        if marker.exists() and marker.read_text(encoding="utf-8") == self._python:
            return
        run_logged(
            [self._python, "-m", "compileall", "-q", *site.paths],
            directory=site.folder,
            environment=site.environment | {"PACEKEEPER_IMPORTS": ""},
            log=site.folder / "compile.txt",
            timeout=_COMPILE_SECONDS,
        )
        marker.write_text(self._python, encoding="utf-8")


def _build_text(changed: Sequence[str]) -> str:
    return (
        f"sources that must be compiled differ from the checkout's ({some_of(changed)}), and the existing "
        'environment is not rebuilt for the commit; state [measure] build = "COMMAND" in '
        'pacekeeper.toml, or let asv build environments ("environment_type": "virtualenv")'
    )


def _say(message: str) -> None:
    sys.stderr.write(f"{message}\n")
