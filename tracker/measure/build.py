"""The parts of a commit that must be compiled: which they are, and building them in its worktree."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tracker.measure.git import Repository
from tracker.measure.process import run_shell

__all__ = ["CompiledSources", "build_once", "compiled_sources"]

_SOURCES = frozenset({
    ".c", ".cc", ".cpp", ".cxx", ".cu", ".cuh", ".h", ".hh", ".hpp", ".inl", ".pyx", ".pxd", ".pxi", ".rs",
    ".f", ".f90", ".f95", ".i", ".zig",
})  # fmt: skip
_CONFIGS = (
    "setup.py",
    "pyproject.toml",
)  # a CMakeLists.txt alone says nothing of the Python package
_ASIDE = frozenset(
    {"doc", "docs", "example", "examples", "test", "tests", "benchmark", "benchmarks"}
)
_BUILDS = re.compile(
    r"ext_modules|Extension\(|cythonize|pybind11|cffi_modules|rust_extensions|ext-modules"
    r"|mesonpy|meson-python|scikit.build|maturin|py-build-cmake|enscons"
)


@dataclass(frozen=True, slots=True)
class CompiledSources:
    """The files of a commit from which something is compiled, by path; empty where nothing is."""

    blobs: Mapping[str, str]

    def changed(self, other: CompiledSources) -> list[str]:
        """Return the paths that differ between two commits."""
        paths = self.blobs.keys() | other.blobs.keys()
        return sorted(path for path in paths if self.blobs.get(path) != other.blobs.get(path))

    @property
    def modules(self) -> frozenset[str]:
        """Names that modules compiled from one of these files may have."""
        return frozenset(PurePosixPath(path).stem for path in self.blobs)


def compiled_sources(repository: Repository, commit: str) -> CompiledSources:
    """Return what a commit's project compiles; empty where its packaging names no compiled part.

    Sources that are compiled when they are used (a kernel that the program itself builds) need no
    build and are none of these.

    Args:
        repository: Of the project.
        commit: Full hash.
    """
    blobs: dict[str, str] = {}
    configs: list[str] = []
    for entry in repository.run("ls-tree", "-r", "-z", commit).split("\0"):
        facts, _, name = entry.partition("\t")
        path = PurePosixPath(name)
        if _ASIDE & set(path.parts[:-1]):
            continue
        if path.suffix in _SOURCES:
            blobs[name] = facts.split()[2]
        elif path.name in _CONFIGS:
            configs.append(name)
    builds = blobs and any(
        _BUILDS.search(repository.run("show", f"{commit}:{name}")) for name in configs
    )
    return CompiledSources(blobs if builds else {})


def build_once(
    tree: Path,
    command: str,
    *,
    python: str,
    environment: Mapping[str, str],
    folder: Path,
    timeout: float | None = None,
) -> None:
    """Run the build command in a commit's worktree, unless it was built there in the same way.

    Args:
        tree: The worktree.
        command: A shell command. `python` in it is the measured interpreter.
        python: That interpreter.
        environment: What the command sees.
        folder: Where the log goes, as `build.txt`.
        timeout: Seconds.

    Raises:
        MeasurementError: The build failed; the message has its last line and where the log is.
    """
    marker = tree.with_name(f"{tree.name}.built")
    key = hashlib.sha256(f"{command}\0{python}".encode()).hexdigest()
    if marker.exists() and marker.read_text(encoding="utf-8") == key:
        return
    marker.unlink(missing_ok=True)
    path = os.pathsep.join([str(Path(python).absolute().parent), environment.get("PATH", "")])
    run_shell(
        f"{tree.name[:8]}: the build",
        command,
        directory=tree,
        environment={**environment, "PATH": path, "PACEKEEPER_SOURCE": str(tree)},
        log=folder / "build.txt",
        timeout=timeout,
    )
    marker.write_text(key, encoding="utf-8")
