"""A results directory: `<machine>/machine.json` and `<machine>/<commit>-<environment>.json`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path

from tracker.asvfmt.jsonfile import read_object
from tracker.asvfmt.resultfile import read_result_file
from tracker.domain import MachineInfo, Problem, ResultFile

MACHINE_FILE = "machine.json"


def read_results_dir(path: Path) -> Iterator[ResultFile | Problem]:
    """Yield every result file of a directory, one at a time, in the order of their names.

    A directory without any is one `Problem`.
    """
    files, problems = list_result_files(path)
    yield from problems
    for file in files:
        yield read_result_file(file)


def list_result_files(path: Path) -> tuple[list[Path], list[Problem]]:
    """Return the result files of a results directory, and the directories that hide theirs."""
    problems: list[Problem] = []
    files = []
    for folder in _entries(path, problems):
        if folder.is_dir():
            files += [
                Path(entry)
                for entry in _entries(folder, problems)
                if entry.name.endswith(".json") and entry.name != MACHINE_FILE
            ]
    if not files and not problems:
        problems.append(Problem(str(path), "no result files: <machine>/<commit>-<env>.json"))
    return files, problems


def list_machine_files(path: Path) -> list[Path]:
    """Return the `machine.json` of each machine of a results directory."""
    files = [Path(folder, MACHINE_FILE) for folder in _entries(path, []) if folder.is_dir()]
    return [file for file in files if file.exists()]


def read_machines(path: Path) -> tuple[list[MachineInfo], list[Problem]]:
    """Return the machines of a results directory, from each `machine.json`."""
    machines = []
    problems: list[Problem] = []
    for file in list_machine_files(path):
        content = read_object(file)
        if isinstance(content, Problem):
            problems.append(content)
            continue
        data = content.data
        known = {
            key: str(data[key])
            for key in ("arch", "cpu", "num_cpu", "os", "ram")
            if isinstance(data.get(key), str | int) and data[key] != ""
        }
        machines.append(MachineInfo(str(data.get("machine") or file.parent.name), **known))
    return machines, problems


def _entries(folder: str | os.PathLike[str], problems: list[Problem]) -> list[os.DirEntry[str]]:
    """Return what a folder holds, by name; a hundred thousand paths are too slow to compare."""
    try:
        with os.scandir(folder) as entries:
            shown = [entry for entry in entries if not entry.name.startswith(".")]
    except OSError as error:
        problems.append(Problem(os.fspath(folder), f"cannot be read: {error.strerror or error}"))
        return []
    return sorted(shown, key=attrgetter("name"))
