"""What a runner pushes over HTTP: results that its own readers have read. Pure values.

The document is what an ingest writes into a store, so that a push and an ingest of the same files
leave the same rows.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from typing import ClassVar

from tracker.domain import (
    BenchmarkInfo,
    Fingerprint,
    MachineInfo,
    Problem,
    ResultFile,
    RevisionRecord,
)
from tracker.metrics import MetricRule

__all__ = ["PUSH_FORMAT", "Push", "PushedFile", "faults"]

PUSH_FORMAT = 1
_INT32, _INT64 = 2**31, 2**63
_WIDE = frozenset({"number", "repeat"})  # columns of 64 bits; every other whole number has 32
# Parts of unique keys, of which PostgreSQL's index holds 2,704 bytes.
_NAMES = frozenset({"name", "version", "machine", "commit", "env_name", "benchmark"})
_MAX_NAME = 1200  # bytes
_MAX_TYPE = 16  # characters
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class PushedFile:
    """One result file, what is known of its benchmarks by name, and of its machine."""

    file: ResultFile
    benchmarks: dict[str, BenchmarkInfo]
    fingerprint: Fingerprint | None = None


@dataclass(frozen=True, slots=True)
class Push:
    """What is written in one transaction, in the order of the fields.

    Attributes:
        format: `PUSH_FORMAT`.
        commit_url: Template of the project's commits, with `{commit}`; None: as it stands.
        metric_rules: In place of the project's; None: as they stand.
        machines: What is known of machines.
        benchmarks: Inserted, or renewed.
        files: Result files; one that was recorded before adds nothing.
        revisions: What git knows of commits.
        problems: What could not be read.
        read_places: Files and directories that were read: their earlier problems are deleted,
            except those in `problems`.
    """

    # For pydantic, which validates a request: in the values below, too.
    __pydantic_config__: ClassVar[dict[str, object]] = {"extra": "forbid", "allow_inf_nan": False}

    format: int = PUSH_FORMAT
    commit_url: str | None = None
    metric_rules: tuple[MetricRule, ...] | None = None
    machines: tuple[MachineInfo, ...] = ()
    benchmarks: tuple[BenchmarkInfo, ...] = ()
    files: tuple[PushedFile, ...] = ()
    revisions: tuple[RevisionRecord, ...] = ()
    problems: tuple[Problem, ...] = ()
    read_places: tuple[str, ...] = ()


def faults(push: Push) -> Iterator[tuple[str, str]]:
    """Yield what the types allow and a store cannot hold: JSON pointer and reason."""
    if push.format != PUSH_FORMAT:
        yield "/format", f"must be {PUSH_FORMAT}, the only format that this version reads"
    yield from _unstorable(push, "", "")
    if push.commit_url is not None and not push.commit_url.startswith(("https://", "http://")):
        yield "/commit_url", "must be an http(s) address"
    for number, rule in enumerate(push.metric_rules or ()):
        try:
            re.compile(rule.pattern)
        except (re.error, RecursionError, OverflowError) as error:
            yield f"/metric_rules/{number}/pattern", f"is no regular expression: {error}"
    described = [*push.benchmarks, *(i for f in push.files for i in f.benchmarks.values())]
    for info in described:
        if len(info.type) > _MAX_TYPE:
            yield f"/benchmarks/{info.name}/type", f"must not be longer than {_MAX_TYPE} characters"
    for number, pushed in enumerate(push.files):
        if not _SHA256.fullmatch(pushed.file.digest):
            yield f"/files/{number}/file/digest", "must be a SHA-256 in hex"
        for place, m in enumerate(pushed.file.measurements):
            if (m.status == "ok") != (m.value is not None):
                where = f"/files/{number}/file/measurements/{place}/value"
                yield where, "must be a number where the status is ok, and null elsewhere"


def _unstorable(value: object, name: str, where: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        if not value.isascii() and any("\ud800" <= char <= "\udfff" for char in value):
            yield where, "must not hold half of a surrogate pair"
        elif name in _NAMES and len(value.encode()) > _MAX_NAME:
            yield where, f"must not be longer than {_MAX_NAME} bytes"
        if "\0" in value:
            yield where, "must not hold the character NUL"
    elif isinstance(value, bool):
        return
    elif isinstance(value, int):
        limit = _INT64 if name in _WIDE else _INT32
        if not -limit <= value < limit:
            yield (
                where,
                f"must lie between -2**{limit.bit_length() - 1} and 2**{limit.bit_length() - 1}",
            )
    elif isinstance(value, float):
        if not math.isfinite(value):
            yield where, "must be a finite number"
    elif isinstance(value, datetime):
        if value.tzinfo is None:
            yield where, "must state its offset from UTC, such as 2026-01-31T12:00:00Z"
        elif not 1 < value.year < 9999:
            yield where, "must lie between the years 2 and 9998"
    elif is_dataclass(value):
        for item in fields(value):
            yield from _unstorable(getattr(value, item.name), item.name, f"{where}/{item.name}")
    elif isinstance(value, dict):
        for key, content in value.items():
            yield from _unstorable(key, name, where)
            yield from _unstorable(content, name, f"{where}/{key}")
    elif isinstance(value, tuple):
        for number, item in enumerate(value):
            yield from _unstorable(item, name, f"{where}/{number}")
