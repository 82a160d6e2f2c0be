"""The project that is measured: its configuration, its suites, its repository.

An asv project says so in `asv.conf.json`. A project that the command or the server runner measures
needs `pacekeeper.toml` alone.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tracker.asvfmt.project import strip_comments
from tracker.errors import PolicyError, UsageError
from tracker.measure.clone import is_url, repository_of_url
from tracker.measure.git import Repository
from tracker.report.numbers import some_of
from tracker.toml_table import read_table

__all__ = ["MeasuredProject", "load_project", "unmeasured_changes"]

CONFIG_NAMES = ("asv.conf.json", "asv.conf.jsonc")
_SETTINGS = "pacekeeper.toml"


@dataclass(frozen=True, slots=True)
class MeasuredProject:
    """What `asv.conf.json` or `pacekeeper.toml` says, with every path absolute.

    Attributes:
        name: asv's `project`; without asv, the repository's folder unless pacekeeper.toml names it.
        config_path: The file it was read from.
        config: Content of `asv.conf.json`, as written; empty without asv.
        repository: The git repository whose commits are measured.
        benchmark_dir: The suites; always those of the current checkout. None without asv.
        source: Directories inside a commit's tree that go on the module path, as the project
            states them; empty: as the tree's layout and packaging metadata say.
    """

    name: str
    config_path: Path
    config: dict[str, object]
    repository: Repository
    benchmark_dir: Path | None
    source: tuple[str, ...] = ()

    @property
    def builds_environments(self) -> bool:
        """Whether asv builds the environments itself (virtualenv, conda, ...)."""
        return self.config.get("environment_type", "existing") != "existing"

    @property
    def subdir(self) -> str | None:
        """Where in the repository the project lies, asv's `repo_subdir`; None for its top."""
        given = self.config.get("repo_subdir")
        return given if isinstance(given, str) and given else None


def load_project(
    config: Path | None = None, *, start: Path | None = None, source: Sequence[str] = ()
) -> MeasuredProject:
    """Read the project's configuration.

    Args:
        config: An asv configuration; else `asv.conf.json`, or a `pacekeeper.toml` that asks for
            another runner, in `start` or the nearest directory above it.
        start: Where to look from; the current directory by default.
        source: See `MeasuredProject.source`.

    Raises:
        UsageError: No file, not readable, not JSON, no `benchmarks` package where it says, not
            in a git repository, or its `repo` cannot be cloned.
    """
    path = _find(config, (start or Path.cwd()).resolve())
    if path.name == _SETTINGS:
        return _without_asv(path, source)
    content = _parse(path)
    home = path.parent
    name = content.get("project")
    if not isinstance(name, str) or not name:
        raise UsageError(f'{path}: "project" must be the name of the project')
    benchmark_dir = (home / str(content.get("benchmark_dir", "benchmarks"))).resolve()
    if not (benchmark_dir / "__init__.py").is_file():
        raise UsageError(
            f"{path}: benchmark_dir {benchmark_dir} is not a package (no __init__.py there)"
        )
    return MeasuredProject(
        name=name,
        config_path=path,
        config=content,
        repository=_repository_of(content, home, path),
        benchmark_dir=benchmark_dir,
        source=tuple(source),
    )


def unmeasured_changes(project: MeasuredProject, *, head_is_measured: bool) -> list[str]:
    """Return warnings about files that differ from what will be measured.

    Commits are measured from git, never from the working tree; the suites are those of the
    working tree. Both surprise users with uncommitted changes.

    Args:
        project: The project.
        head_is_measured: Whether the checked-out commit is measured; only then changes of the
            source matter.
    """
    root = project.repository.root
    suites: list[str] = []
    source: list[str] = []
    for file in project.repository.dirty():
        full = root / file
        if project.benchmark_dir is not None and full.is_relative_to(project.benchmark_dir):
            suites.append(str(file))
        elif full.suffix in {".py", ".pyi", ".pyx", ".c", ".cc", ".cpp", ".cu", ".cuh", ".h"}:
            parts = project.source or (project.subdir or ".",)
            inside = any(full.is_relative_to((root / part).resolve()) for part in parts)
            if inside and "test" not in full.parts[-1] and file.parts[0] not in {"tests", "docs"}:
                source.append(str(file))
    folder = project.benchmark_dir
    if folder is not None and not folder.is_relative_to(root):  # suites in their own repository
        with suppress(UsageError):
            own = Repository.find(folder)
            names = [own.root / file for file in own.dirty()]
            suites = [str(name) for name in names if name.is_relative_to(folder)]
    warnings: list[str] = []
    if source and head_is_measured:
        warnings.append(
            f"uncommitted changes are not measured (commits are measured from git): {some_of(source, 5)}"
        )
    if suites:
        warnings.append(
            "the benchmark suites have uncommitted changes; these numbers belong to no committed "
            f"suite: {some_of(suites, 5)}"
        )
    return warnings


def _find(config: Path | None, start: Path) -> Path:
    if config is not None:
        if not config.is_file():
            raise UsageError(f"{config}: no such asv configuration")
        return config.resolve()
    for directory in (start, *start.parents):
        if _needs_no_asv(directory / _SETTINGS):
            return directory / _SETTINGS
        for name in CONFIG_NAMES:
            if (directory / name).is_file():
                return directory / name
    raise UsageError(
        f"no asv.conf.json in {start} or above, and no pacekeeper.toml with another runner; run "
        "inside a project, give --config, or let `tracker init` set the project up"
    )


def _needs_no_asv(path: Path) -> bool:
    """Whether a settings file asks for another runner; what is wrong in it the policy's reader says."""
    try:
        runner: object = read_table(path).table("measure", str(path)).content.get("runner", "asv")
    except PolicyError:
        return False
    return runner != "asv"


def _without_asv(path: Path, source: Sequence[str]) -> MeasuredProject:
    repository = Repository.find(path.parent)
    named = read_table(path).table("project", f"{path}: [project]").text("name")
    return MeasuredProject(
        name=named.get("name", repository.root.name),
        config_path=path,
        config={},
        repository=repository,
        benchmark_dir=None,
        source=tuple(source),
    )


def _repository_of(content: dict[str, object], home: Path, path: Path) -> Repository:
    """The repository that asv's `repo` names: a path, or a URL of which a clone is kept."""
    repo = content.get("repo", ".")
    if not isinstance(repo, str) or not repo:
        raise UsageError(f'{path}: "repo" must be a path or a URL')
    if is_url(repo):
        return repository_of_url(repo, home)
    local = (home / repo).resolve()
    if not local.is_dir():
        raise UsageError(f'{path}: "repo" names {local}, which is no directory')
    return Repository.find(local)


def _parse(path: Path) -> dict[str, object]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read: {error}") from None
    try:
        content = json.loads(strip_comments(text))
    except ValueError as error:
        raise UsageError(f"{path}: not JSON (with // comments): {error}") from None
    if not isinstance(content, dict):
        raise UsageError(f"{path}: must hold one JSON object")
    return content
