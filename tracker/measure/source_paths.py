"""Where the importable code of a commit lies in its tree, from the project's packaging metadata.

A package in `src/`, or in the subdirectory that asv's `repo_subdir` names, needs no setting. What a
project states in `[project] source` replaces all that.
"""

from __future__ import annotations

import ast
import configparser
import posixpath
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

__all__ = ["source_paths"]


def source_paths(
    tree: Path, *, stated: Sequence[str] = (), subdir: str | None = None
) -> tuple[str, ...]:
    """Return the directories that go on the module path, relative to `tree`, in order.

    Args:
        tree: A commit's tree.
        stated: What the project says itself; nothing else counts then.
        subdir: Where in the tree the project lies (asv's `repo_subdir`).
    """
    if stated:
        return tuple(stated)
    base = PurePosixPath(subdir or ".")
    root = tree / base
    paths: list[str] = []
    for part in (*_from_metadata(root), *_from_layout(root), "."):
        path = posixpath.normpath(base / part)
        inside = not path.startswith(("..", "/"))
        if inside and path not in paths and (tree / path).is_dir():
            paths.append(path)
    return tuple(paths)


def _from_layout(root: Path) -> Iterator[str]:
    for name in ("src", "python"):
        folder = root / name
        holds_code = any(folder.glob("*.py")) or any(folder.glob("*/*.py"))
        if holds_code and not (folder / "__init__.py").exists():
            yield name


def _from_metadata(root: Path) -> Iterator[str]:
    try:
        project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        project = {}
    tool = _table(project, "tool")
    setuptools = _table(tool, "setuptools")
    yield from _of_package_dir(_table(setuptools, "package-dir"))
    yield from _texts(_table(_table(setuptools, "packages"), "find").get("where"))
    wheel = _table(_table(_table(_table(tool, "hatch"), "build"), "targets"), "wheel")
    yield from _texts(wheel.get("sources"))
    yield from _parents(wheel.get("packages"))
    for package in _list(_table(tool, "poetry").get("packages")):
        if isinstance(package, dict):
            yield from _texts(package.get("from"))
    yield from _texts(_table(tool, "maturin").get("python-source"))
    scikit = _table(_table(tool, "scikit-build"), "wheel").get("packages")
    yield from _parents(list(scikit.values()) if isinstance(scikit, dict) else scikit)
    yield from _texts(_table(_table(tool, "pdm"), "build").get("package-dir"))
    yield from _texts(_table(_table(tool, "uv"), "build-backend").get("module-root"))
    yield from _from_setup_cfg(root / "setup.cfg")
    yield from _from_setup_py(root / "setup.py")


def _from_setup_cfg(path: Path) -> Iterator[str]:
    config = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        config.read(path, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError):
        return
    given = config.get("options", "package_dir", fallback="")
    pairs = (line.partition("=") for line in given.replace(",", "\n").splitlines() if "=" in line)
    yield from _of_package_dir({name.strip(): folder.strip() for name, _, folder in pairs})
    yield from config.get("options.packages.find", "where", fallback="").split()


def _from_setup_py(path: Path) -> Iterator[str]:
    """The literals of `package_dir=` and of `find_packages(where=)`; the script is not run."""
    try:
        script = ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, SyntaxError):
        return
    for call in (node for node in ast.walk(script) if isinstance(node, ast.Call)):
        name = getattr(call.func, "id", getattr(call.func, "attr", ""))
        arguments = {word.arg: word.value for word in call.keywords}
        if "package_dir" in arguments:
            folders = _literal(arguments["package_dir"])
            yield from _of_package_dir(folders if isinstance(folders, dict) else {})
        if name in ("find_packages", "find_namespace_packages"):
            where = arguments.get("where", call.args[0] if call.args else None)
            yield from _texts(_literal(where))


def _of_package_dir(folders: Mapping[Any, Any]) -> Iterator[str]:
    """setuptools' mapping of packages to folders: "" is the folder of all others."""
    for package, folder in folders.items():
        if not isinstance(package, str) or not isinstance(folder, str):
            continue
        if package == "":
            yield folder
        elif PurePosixPath(folder).name == package.rpartition(".")[2]:
            yield str(PurePosixPath(folder, *[".."] * len(package.split("."))))


def _parents(packages: object) -> Iterator[str]:
    for package in _texts(packages):
        yield str(PurePosixPath(package).parent)


def _texts(value: object) -> Iterator[str]:
    values = list(value) if isinstance(value, dict) else _list(value)
    yield from (item for item in values if isinstance(item, str) and item)


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else [value] if isinstance(value, str) else []


def _table(content: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = content.get(key)
    return value if isinstance(value, dict) else {}


def _literal(node: ast.expr | None) -> object:
    try:
        return ast.literal_eval(node) if node is not None else None
    except ValueError:
        return None
