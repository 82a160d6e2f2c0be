"""Where the results are and whose: `asv.conf.json`, or what the directories say."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tracker.asvfmt.benchmarks import FILE_NAME as BENCHMARKS_FILE
from tracker.asvfmt.directory import MACHINE_FILE
from tracker.domain import Problem

CONFIG_FILES = ("asv.conf.json", "asv.conf.jsonc")
DEFAULT_RESULTS = "results"

# A string, kept whole, or a comment: to the end of the line, or between /* and */.
_STRING_OR_COMMENT = re.compile(r'"(?:\\.|[^"\\])*"|//[^\n]*|/\*.*?\*/', re.DOTALL)
_TRAILING_COMMA = re.compile(r'"(?:\\.|[^"\\])*"|,(?=\s*[}\]])', re.DOTALL)


@dataclass(frozen=True, slots=True)
class ProjectConfig:
    """A results directory and the project it belongs to.

    Attributes:
        name: The project's name.
        results_dir: Where its results are.
        commit_url: Template with `{commit}`, or None.
        problem: What was wrong with its asv.conf.json, or None.
        home: The directory of its asv.conf.json, or None.
        repository: The measured repository where that is a directory, or None.
    """

    name: str
    results_dir: Path
    commit_url: str | None = None
    problem: Problem | None = None
    home: Path | None = None
    repository: Path | None = None


def find_project(path: Path) -> ProjectConfig:
    """Return the results directory and the project's name that `path` stands for.

    `path` is a results directory, or a project's directory with an asv.conf.json or a folder
    `results`. The name is that of the asv.conf.json in `path` or up to two directories above,
    else that of the directory (the one above a directory named "results").
    """
    path = path.resolve()
    config: dict[str, Any] = {}
    problem = None
    config_path = None
    for place in (path, *path.parents[:2]):
        config_path = next(
            (place / name for name in CONFIG_FILES if (place / name).is_file()), None
        )
        if config_path is not None:
            config, problem = _read_config(config_path)
            break
    results = path
    if config_path is not None and config_path.parent == path:
        given = config.get("results_dir")
        results = path / (given if isinstance(given, str) and given else DEFAULT_RESULTS)
    elif not _is_results(path) and _is_results(path / DEFAULT_RESULTS):
        results = path / DEFAULT_RESULTS
    name = config.get("project")
    if not isinstance(name, str) or not name.strip():
        name = path.parent.name if path.name == DEFAULT_RESULTS else path.name
    return ProjectConfig(
        name=name.strip() or "unnamed",
        results_dir=results,
        commit_url=_commit_url(config),
        problem=problem,
        home=None if config_path is None else config_path.parent,
        repository=None if config_path is None else _repository(config_path.parent, config),
    )


def strip_comments(text: str) -> str:
    """Return JSON text without comments and trailing commas, as asv's configuration allows."""

    def keep_strings(match: re.Match[str]) -> str:
        return match.group() if match.group().startswith('"') else ""

    return _TRAILING_COMMA.sub(keep_strings, _STRING_OR_COMMENT.sub(keep_strings, text))


def _read_config(file: Path) -> tuple[dict[str, Any], Problem | None]:
    try:
        data = json.loads(strip_comments(file.read_text(encoding="utf-8-sig")))
    except OSError as error:
        return {}, Problem(str(file), f"cannot be read: {error.strerror or error}")
    except ValueError as error:
        return {}, Problem(str(file), f"not JSON: {error}")
    if not isinstance(data, dict):
        return {}, Problem(str(file), "not a configuration of asv's: no object")
    return data, None


def _repository(home: Path, config: dict[str, Any]) -> Path | None:
    given = config.get("repo", ".")
    if not isinstance(given, str):
        return None
    place = home / given.removeprefix("file://")
    return place if place.is_dir() else None


def _commit_url(config: dict[str, Any]) -> str | None:
    url = config.get("show_commit_url")
    if not isinstance(url, str) or not url.startswith(("http://", "https://")):
        return None
    return url.replace("{", "").replace("}", "") + "{commit}"


def _is_results(path: Path) -> bool:
    if (path / BENCHMARKS_FILE).is_file():
        return True
    try:
        return any((entry / MACHINE_FILE).is_file() for entry in path.iterdir() if entry.is_dir())
    except OSError:
        return False
