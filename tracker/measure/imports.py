"""Whether a launch ran the commit's code: where its modules were imported from.

Measured processes write a record each (`recording/sitecustomize.py`). Pure but for reading files.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from tracker.measure.launch import LaunchFault

__all__ = [
    "RECORDING",
    "Expected",
    "ImportRecord",
    "Installed",
    "import_faults",
    "installed_from",
    "packages_elsewhere",
    "provided_modules",
    "read_records",
]

RECORDING = Path(__file__).parent / "recording"  # goes on the module path of measured processes
# Suites may import the load harness of this package: like the suites, it is the present one whatever
# commit is measured. It needs these modules and packages beside it.
_PACKAGE = Path(__file__).resolve().parents[1]
_BESIDE_LOAD = ("__init__.py", "domain", "errors.py", "fingerprint.py")
_HARNESS = (_PACKAGE / "load", *(_PACKAGE / name for name in _BESIDE_LOAD), RECORDING)
_COMPILED = (".so", ".pyd")
_INSTALLED = ("site-packages", "dist-packages")
# Folders whose code is not the project's, whatever it is called.
_ASIDE = frozenset({
    "test", "tests", "testing", "doc", "docs", "example", "examples", "scripts", "tools", "ci",
    "benchmark", "benchmarks", "bench", "asv_bench", "build", "dist", "node_modules", "vendor", "vendored",
    "_vendor", "third_party", "thirdparty", "extern", "external", "externals", "deps", "subprojects",
    "submodules",
})  # fmt: skip
_NOT_MODULES = frozenset({"setup", "conftest", "noxfile", "tasks", "fabfile"})


@dataclass(frozen=True, slots=True)
class ImportRecord:
    """What one process had imported when it ended: `sys.prefix`, and files by module name."""

    prefix: Path
    modules: Mapping[str, Path]


@dataclass(frozen=True, slots=True)
class Installed:
    """A distribution of the project in the measured interpreter: its name and what it provides."""

    name: str
    modules: frozenset[str]


@dataclass(frozen=True, slots=True)
class Expected:
    """Where the modules of a commit may come from.

    Attributes:
        tree: The commit's worktree.
        paths: Directories in it that are on the module path.
        checkout: The user's checkout, whose code is another commit's.
        suites: The benchmark suites, which are always the present ones. None: a command or a server
            is measured, which need not be Python: modules that were not seen prove nothing.
        environments: Where asv builds its environments; None where it builds none.
        installed: The project's distributions in the measured interpreter.
        compiled: Names of modules that the tree holds compiled sources of.
        compiled_as_in_checkout: Whether those sources are the ones the checkout has.
    """

    tree: Path
    paths: Sequence[str]
    checkout: Path
    suites: Path | None
    environments: Path | None = None
    installed: Sequence[Installed] = ()
    compiled: frozenset[str] = field(default=frozenset())
    compiled_as_in_checkout: bool = True


def read_records(folder: Path) -> list[ImportRecord]:
    """Return the records in a folder; a half-written one counts for nothing."""
    records: list[ImportRecord] = []
    for path in sorted(folder.glob("*.json")):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        modules = {name: Path(file).resolve() for name, file in content["modules"].items()}
        records.append(ImportRecord(Path(content["prefix"]).resolve(), modules))
    return records


def import_faults(
    records: Sequence[ImportRecord], expected: Expected
) -> tuple[list[LaunchFault], list[str]]:
    """Return why the launch did not run the commit's code, and what could not be proved.

    Args:
        records: Of every measured process.
        expected: Where the commit's modules may come from.

    Returns:
        Faults, empty where the code that ran is the commit's; and notes, in sentences.
    """
    provided = provided_modules(expected.tree, expected.paths, expected.suites)
    elsewhere = packages_elsewhere(expected.tree)
    installed = frozenset().union(*(item.modules for item in expected.installed))
    proved = False
    wrong: dict[str, Path] = {}
    stale: dict[str, Path] = {}
    unproved: dict[str, Path] = {}
    for record in records:
        for name, file in record.modules.items():
            if any(file.is_relative_to(own) for own in (expected.suites, *_HARNESS) if own):
                continue
            if file.is_relative_to(expected.tree):
                proved = True
                continue
            compiled = file.suffix in _COMPILED
            belongs = (
                _covers(provided, name)
                or _covers(installed, name)
                or name.partition(".")[0] in elsewhere
                or (compiled and name in expected.compiled)
            )
            built = expected.environments is not None and file.is_relative_to(expected.environments)
            if built:
                if belongs and _differs(name, file, expected):
                    stale[name] = file
                proved = proved or belongs
            elif belongs and compiled and expected.compiled and expected.compiled_as_in_checkout:
                unproved[name] = file
            elif belongs or _is_in_checkout(file, record, expected):
                wrong[name] = file
    faults: list[LaunchFault] = []
    if wrong:
        faults.append(LaunchFault("code", _wrong_text(wrong, expected)))
    if stale:
        faults.append(LaunchFault("code", _stale_text(stale)))
    if not faults and not proved:
        if expected.suites is None:
            return [], ["no module of the commit was imported: which code ran is not proved"]
        if provided or elsewhere:
            faults.append(
                LaunchFault("unseen", _unseen_text(provided or elsewhere, expected, bool(records)))
            )
        else:
            return [], ["the commit has no Python modules: which code ran cannot be proved"]
    notes = [
        f"the compiled module {name} comes from the environment ({file}); its sources are those of "
        "the checkout, but nothing proves that it was built from them"
        for name, file in sorted(unproved.items())
    ]
    return faults, notes


def provided_modules(tree: Path, paths: Sequence[str], suites: Path | None) -> frozenset[str]:
    """Return the modules and regular packages that the directories `paths` of `tree` provide.

    Of a namespace package it is the packages inside it, for others may add to the namespace.
    """
    roots = {(tree / path).resolve() for path in paths}
    names: set[str] = set()
    for root in roots:
        # Any directory of the top level would pass for a namespace: `docs`, `packaging`.
        depth = 0 if root == tree.resolve() else 2
        names.update(_provided(root, "", depth, roots, suites.name if suites is not None else ""))
    return frozenset(names)


def _provided(
    folder: Path, prefix: str, depth: int, roots: set[Path], suites: str
) -> Iterator[str]:
    for entry in folder.iterdir():
        name = entry.stem if entry.suffix == ".py" else entry.name
        if not name.isidentifier() or entry.resolve() in roots or name == suites:
            continue
        if entry.suffix == ".py":
            if prefix or name not in _NOT_MODULES:
                yield prefix + name
        elif entry.is_dir():
            if (entry / "__init__.py").is_file():
                yield prefix + name
            elif depth:
                yield from _provided(entry, f"{prefix}{name}.", depth - 1, roots, suites)


@lru_cache(maxsize=256)  # a commit's tree does not change
def packages_elsewhere(tree: Path) -> frozenset[str]:
    """Return the packages and lone modules anywhere in a tree, but for what is beside the project.

    The top-level names that an unknown layout may provide, wherever its code lies.
    """
    names: set[str] = set()
    for folder, folders, files in os.walk(tree):
        folders[:] = [n for n in folders if n.isidentifier() and n.lower() not in _ASIDE]
        if "__init__.py" in files and folder != str(tree):
            names.add(Path(folder).name)
            folders.clear()  # what is inside is imported through it
        elif Path(folder) != tree:
            modules = {file[:-3] for file in files if file.endswith(".py")}
            names |= {name for name in modules - _NOT_MODULES if name.isidentifier()}
    return frozenset(names)


def installed_from(python: str, checkout: Path, names: Iterable[str]) -> list[Installed]:
    """Return the distributions in the interpreter `python` that are the project's.

    Args:
        python: Interpreter to ask.
        checkout: One that was installed from a directory in here is the project's.
        names: So is one of these names.
    """
    done = subprocess.run(
        [python, "-c", _SCRIPT, str(checkout), *names], capture_output=True, text=True, check=False
    )
    try:
        listed = json.loads(done.stdout)
    except ValueError:
        return []  # asv reports an interpreter that does not run
    return [Installed(item["name"], frozenset(item["modules"])) for item in listed]


_SCRIPT = """
import json, os, re, sys
from importlib import metadata
from urllib.parse import unquote, urlsplit
checkout = os.path.realpath(sys.argv[1])
plain = lambda name: re.sub("[-_.]+", "-", name).lower()
wanted = {plain(name) for name in sys.argv[2:]}
listed = []
for dist in metadata.distributions():
    try:
        url = urlsplit(json.loads(dist.read_text("direct_url.json") or "{}").get("url", ""))
        place = os.path.realpath(unquote(url.path)) if url.scheme == "file" else ""
        name = dist.metadata["Name"] or ""
        if plain(name) not in wanted and (place + os.sep).find(checkout + os.sep) != 0:
            continue
        files = [str(file).split("/") for file in dist.files or []]
        packages = {tuple(parts[:-1]) for parts in files if parts[-1] == "__init__.py"}
        modules = set()
        for parts in files:
            if parts[0] == ".." or parts[0].endswith((".dist-info", ".data")):
                continue
            stem, _, suffix = parts[-1].partition(".")
            if not suffix.endswith(("py", "so", "pyd")) or stem.startswith("__editable__"):
                continue
            top = next((parts[:k] for k in range(1, len(parts)) if tuple(parts[:k]) in packages),
                       parts[:-1] + [stem])
            modules.add(".".join(top))
        modules.update((dist.read_text("top_level.txt") or "").split())
        listed.append({"name": name, "modules": sorted(modules)})
    except Exception:
        continue
print(json.dumps(listed))
"""


def _covers(provided: frozenset[str], name: str) -> bool:
    parts = name.split(".")
    return any(".".join(parts[:count]) in provided for count in range(1, len(parts) + 1))


def _is_in_checkout(file: Path, record: ImportRecord, expected: Expected) -> bool:
    """Whether a file is the checkout's own code, not a program's that is installed inside it."""
    return file.is_relative_to(expected.checkout) and not any(
        part in _INSTALLED for part in file.parts
    )


def _differs(name: str, file: Path, expected: Expected) -> bool:
    """Whether an installed module is not the text that the commit has of it."""
    if file.suffix != ".py" or "version" in name.rpartition(".")[2].lower():
        return False  # versions are written by the build
    parts = name.split(".")
    for path in expected.paths:
        for source in (Path(*parts, "__init__.py"), Path(*parts).with_suffix(".py")):
            if source.name == file.name and (own := expected.tree / path / source).is_file():
                return own.read_bytes() != file.read_bytes()
    return False


def _wrong_text(wrong: Mapping[str, Path], expected: Expected) -> str:
    name, file = min(wrong.items(), key=lambda item: (item[0].count("."), item[0]))
    others = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
    text = f"other code than the commit's was measured: {name}{others} was imported from {file}"
    owner = next((item.name for item in expected.installed if _covers(item.modules, name)), None)
    if (place := _place_in_tree(file, name, expected)) is not None:
        return f'{text}; state [project] source = ["{place}"] in pacekeeper.toml'
    mends = [
        f"uninstall it from the measured interpreter (python -m pip uninstall {owner})"
        if owner
        else "uninstall the project from the measured interpreter, if it is installed there",
        "take the checkout off sys.path in the suites",
        'or let asv build environments ("environment_type": "virtualenv")',
    ]
    if owner and not file.is_relative_to(expected.checkout):
        del mends[1]
    return f"{text}; {', '.join(mends)}"


def _place_in_tree(file: Path, name: str, expected: Expected) -> str | None:
    """The directory of the tree, not yet on the module path, from which `name` can be imported."""
    parts = name.split(".")
    tail = (
        Path(*parts, "__init__.py") if file.name == "__init__.py" else Path(*parts[:-1], file.name)
    )
    if file.suffix != ".py":
        return None
    for candidate in sorted(expected.tree.rglob(str(tail))):
        place = str(candidate.parents[len(tail.parts) - 1].relative_to(expected.tree))
        if place not in expected.paths:
            return place
    return None


def _stale_text(stale: Mapping[str, Path]) -> str:
    name, file = min(stale.items())
    return (
        f"the environment does not hold the commit: {name} in {file} is not the commit's text; "
        "remove the environment, and let asv's `project` be the name that pip knows it by"
    )


def _unseen_text(provided: frozenset[str], expected: Expected, recorded: bool) -> str:
    shown = ", ".join(sorted(provided)[:3])
    if not recorded:
        return (
            "it cannot be proved which code was measured: no benchmark process left a record of its "
            "imports; the measured interpreter must honour PYTHONPATH and sitecustomize"
        )
    return (
        f"no module of the commit was imported (it has {shown}; the module path has "
        f"{', '.join(expected.paths)}), so its code was not measured; state in [project] source where "
        "the code lies, or choose benchmarks that use it"
    )
