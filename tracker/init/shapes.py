"""Three shapes of project: asv suites, a command, a server; each to the files that it needs. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from tracker.errors import UsageError
from tracker.measure.imports import provided_modules
from tracker.measure.source_paths import source_paths

__all__ = ["Asv", "Command", "Server", "Shape", "Suites", "filled", "package_of", "template"]

_NOT_PACKAGES = frozenset(
    {"benchmarks", "conftest", "docs", "examples", "scripts", "setup", "test", "tests", "tools"}
)


@dataclass(frozen=True, slots=True)
class Suites:
    """A first suite, for a project that has none.

    Attributes:
        package: What it imports.
        benchmark_dir: Where it lies.
        branch: The branch whose history is kept.
    """

    package: str
    benchmark_dir: str
    branch: str

    def files(self, project: str) -> dict[str, str]:
        """Return asv's configuration and the suite."""
        config = {
            "version": 1,
            "project": project,
            "repo": ".",
            "branches": [self.branch],
            "environment_type": "existing",
            "benchmark_dir": self.benchmark_dir,
            "env_dir": ".asv/env",
            "results_dir": ".asv/results",
            "html_dir": ".asv/html",
        }
        suite = filled(template("first_suite.py"), package=self.package)
        return {
            "asv.conf.json": json.dumps(config, indent=4) + "\n",
            f"{self.benchmark_dir}/__init__.py": "",
            f"{self.benchmark_dir}/first.py": suite,
        }


@dataclass(frozen=True, slots=True)
class Asv:
    """A Python package measured by asv suites; `suites` None: it has its own."""

    project: str
    suites: Suites | None = None

    def files(self) -> dict[str, str]:
        settings = _settings(self.project, template("measure-asv.toml"))
        own = self.suites.files(self.project) if self.suites is not None else {}
        return {"pacekeeper.toml": settings, **own}


@dataclass(frozen=True, slots=True)
class Command:
    """Any program that writes a file of a known format."""

    project: str
    command: str
    build: str | None = None
    format: str | None = None

    def files(self) -> dict[str, str]:
        text = filled(
            template("measure-command.toml"),
            command=_quoted(self.command),
            build=_line("build", self.build, '"make -j8"', "run in each commit's tree first"),
            format=_line("format", self.format, '"hyperfine"', "else known by the content"),
        )
        return {"pacekeeper.toml": _settings(self.project, text)}


@dataclass(frozen=True, slots=True)
class Server:
    """An OpenAI-compatible server: started for each commit, or deployed to a URL."""

    project: str
    command: str | None = None
    url: str | None = None
    deploy: str | None = None
    build: str | None = None

    def files(self) -> dict[str, str]:
        if self.command is not None:
            how = f"command = {_quoted(self.command)}  # {{port}}: where it is to listen"
        else:
            how = (
                f"url = {_quoted(self.url or '')}\n"
                f"deploy = {_quoted(self.deploy or '')}  # after it the server runs the commit"
            )
        text = filled(
            template("measure-server.toml"),
            how=how,
            build=_line(
                "build", self.build, '"pip install -e ."', "run in each commit's tree first"
            ),
        )
        return {"pacekeeper.toml": _settings(self.project, text)}


Shape = Asv | Command | Server


def package_of(root: Path, project: str) -> str:
    """Return the package of a checkout that a first suite imports.

    Raises:
        UsageError: There is none.
    """
    known = {
        name
        for name in provided_modules(root, source_paths(root), None)
        if "." not in name and name.lower() not in _NOT_PACKAGES and not name.startswith("_")
    }
    named = project.lower().replace("-", "_")
    if not known:
        raise UsageError(
            "no importable Python package here, in src/, or where pyproject.toml says; --asv is for "
            "Python packages: use --command 'CMD' for a program, --server 'CMD' for a server"
        )
    return min(known, key=lambda name: (name.lower() != named, not _is_package(root, name), name))


def template(name: str) -> str:
    """Return a file of this package's templates."""
    path = resources.files("tracker.init") / "templates" / f"{name}.txt"
    return path.read_text(encoding="utf-8")


def filled(text: str, **values: str) -> str:
    """Return a template with each `@NAME@` replaced."""
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text


def _settings(project: str, measure: str) -> str:
    return filled(template("pacekeeper.toml"), project=_quoted(project), measure=measure)


def _is_package(root: Path, name: str) -> bool:
    return any((root / part / name / "__init__.py").is_file() for part in source_paths(root))


def _line(key: str, value: str | None, example: str, why: str) -> str:
    """Return a setting, or where it is not given a comment that shows it."""
    return (
        f"# {key} = {example}  # {why}" if value is None else f"{key} = {_quoted(value)}  # {why}"
    )


def _quoted(text: str) -> str:
    """Return a TOML string; JSON's escapes are TOML's."""
    return json.dumps(text, ensure_ascii=False)
