"""What a reader is: one kind of file, to results or problems in the domain's values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from tracker.domain import BenchmarkInfo, Problem, ResultFile, RevisionRecord

__all__ = ["HEAD_BYTES", "Given", "Reader", "Reading"]

HEAD_BYTES = 1 << 20  # of a file, for `Reader.recognizes`


@dataclass(frozen=True, slots=True)
class Given:
    """What the caller knows of a file. It goes before what the file says; None: the file decides.

    Attributes:
        commit: Full hash of the measured commit.
        committed_at: When it was committed.
        measured_at: When the measurement began.
        machine: Name of the machine that measured.
        environment: Name of the environment.
        tool_version: Version of the tool that wrote the file.
        find_commit: Returns what git knows of a hash, or of the beginning of one.
    """

    commit: str | None = None
    committed_at: datetime | None = None
    measured_at: datetime | None = None
    machine: str | None = None
    environment: str | None = None
    tool_version: str | None = None
    find_commit: Callable[[str], RevisionRecord | None] | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """What a file holds.

    Attributes:
        files: One entry for each run of the tool that the file records.
        benchmarks: What the file, or one beside it, says of the benchmarks, by name.
        problems: What could not be read, whole runs included.
    """

    files: tuple[ResultFile, ...] = ()
    benchmarks: Mapping[str, BenchmarkInfo] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()


class Reader(Protocol):
    """Reads the files of one tool. It keeps nothing, and never raises for what a file holds."""

    @property
    def name(self) -> str:
        """What `--format` calls it."""

    def recognizes(self, path: Path, head: bytes) -> bool:
        """Return whether a file is of this format, by its first `HEAD_BYTES` bytes."""

    def read(self, path: Path, given: Given = ...) -> Reading:
        """Return what the file holds, with what `given` adds to it."""
