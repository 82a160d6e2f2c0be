"""Where a command's report goes: on the screen or into a file, and into further files by suffix."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click

from tracker.errors import UsageError

__all__ = ["Outputs"]

_FORMS = {
    ".txt": "text",
    ".md": "markdown",
    ".json": "json",
    ".xml": "junit",
    ".html": "html",
}


@dataclass(frozen=True, slots=True)
class Outputs:
    """The reports that a command writes.

    Args:
        form: Format of what is printed, or written into `out`.
        out: File that takes the place of the screen.
        files: Further files; their suffixes say their formats.

    Raises:
        UsageError: A file could not be written, or its suffix says no format.
    """

    form: str
    out: Path | None
    files: tuple[Path, ...]

    def __post_init__(self) -> None:
        if self.out is not None:
            _check_writable("--out", self.out)
        for path in self.files:
            _check_writable("--report", path)
            if path.suffix not in _FORMS:
                raise UsageError(f"--report {path}: its suffix must be one of {', '.join(_FORMS)}")

    @property
    def forms(self) -> list[str]:
        return [self.form, *(_FORMS[path.suffix] for path in self.files)]

    def write(self, render: Callable[[str], str], summary: str) -> None:
        """Write every report.

        Args:
            render: Returns the text in a format.
            summary: Goes to standard error where the report goes into a file.
        """
        for path in self.files:
            path.write_text(render(_FORMS[path.suffix]), encoding="utf-8")
        text = render(self.form)
        if self.out is None:
            click.echo(text, nl=False)
        else:
            self.out.write_text(text, encoding="utf-8")
            click.echo(summary, err=True)


def _check_writable(option: str, path: Path) -> None:
    """Refuse before measuring what could not be written after it."""
    folder = path.absolute().parent
    if not folder.is_dir():
        raise UsageError(f"{option} {path}: no such directory")
    if path.is_dir():
        raise UsageError(f"{option} {path}: is a directory; name a file")
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise UsageError(f"{option} {path}: cannot be written")
