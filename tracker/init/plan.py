"""Which files a repository lacks, and writing them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tracker.errors import UsageError

__all__ = ["IGNORED", "PlannedFile", "plan", "write"]

IGNORED = ("pacekeeper.db*", ".pacekeeper/", ".asv/", "reports/")

Action = Literal["write", "append", "keep"]


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """One file.

    Attributes:
        path: Relative to the repository.
        text: What is written or appended.
        action: "keep": it is there already and stays as it is.
    """

    path: str
    text: str
    action: Action


def plan(root: Path, files: Mapping[str, str]) -> list[PlannedFile]:
    """Return what is to be done for `files` and for .gitignore; nothing that exists is replaced.

    Args:
        root: The repository.
        files: Text by path relative to it.
    """
    planned = [
        PlannedFile(path, text, "keep" if (root / path).exists() else "write")
        for path, text in files.items()
    ]
    ignore = root / ".gitignore"
    present = ignore.read_text(encoding="utf-8") if ignore.exists() else ""
    missing = [line for line in IGNORED if line not in present.splitlines()]
    if not missing:
        return [*planned, PlannedFile(".gitignore", "", "keep")]
    text = "\n".join(missing) + "\n"
    if ignore.exists() and present and not present.endswith("\n"):
        text = "\n" + text
    return [*planned, PlannedFile(".gitignore", text, "append" if ignore.exists() else "write")]


def write(root: Path, planned: list[PlannedFile]) -> None:
    """Write what is planned.

    Raises:
        UsageError: A file cannot be written, or appeared meanwhile.
    """
    for file in planned:
        if file.action == "keep":
            continue
        path = root / file.path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a" if file.action == "append" else "x", encoding="utf-8") as out:
                out.write(file.text)
        except OSError as error:
            raise UsageError(f"{path} cannot be written: {error.strerror or error}") from None
