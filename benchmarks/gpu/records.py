"""The log of a measuring session: one JSON line a case, appended, never changed."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["GpuMeasurement", "Record", "append", "latest", "read", "record_of"]

FILE = "records.jsonl"


@dataclass(frozen=True, slots=True)
class GpuMeasurement:
    """One value of one benchmark.

    Attributes:
        name: As asv names it: ``"gpu_engine.qwen3_8b.track_decode_b4"``.
        value: None: measured on this machine it has none (asv's "skipped").
        unit: Base unit.
        better: ``"lower"`` or ``"higher"``.
        kind: Decides the statistics; see ``tracker.load.catalogue``.
        version: Set by hand; another definition is another version.
        params: Names and values (``repr``) of the parameter point.
    """

    name: str
    value: float | None
    unit: str
    better: str
    kind: str
    version: str = "1"
    params: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Record:
    """What became of a case.

    Attributes:
        part, case: Which.
        status: ``"done"``, ``"skipped"`` (this machine cannot run it) or ``"failed"``.
        started_at: UTC, ISO 8601.
        seconds: How long it took, its process's start included.
        measurements: What it measured.
        facts: What it found out about the machine.
        telemetry: The device's clocks, temperature and throttle reasons meanwhile; None without
            NVML.
        problem: Why it was skipped or failed.
    """

    part: str
    case: str
    status: str
    started_at: str
    seconds: float
    measurements: tuple[GpuMeasurement, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)
    telemetry: dict[str, Any] | None = None
    problem: str | None = None


def append(folder: Path, record: Record) -> None:
    """Add a record to the log in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / FILE).open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(record)) + "\n")


def read(folder: Path) -> list[Record]:
    """Return the records in ``folder``, oldest first; a last line cut short is left out."""
    path = folder / FILE
    records = []
    for line in path.read_text(encoding="utf-8").splitlines(True) if path.exists() else []:
        if line.endswith("\n"):
            records.append(record_of(json.loads(line)))
    return records


def record_of(plain: dict[str, Any]) -> Record:
    """Return the record of JSON values."""
    made = []
    for one in plain.get("measurements", ()):
        params = tuple((name, value) for name, value in one["params"])
        made.append(GpuMeasurement(**{**one, "params": params}))
    return Record(**{**plain, "measurements": tuple(made)})


def latest(records: Iterable[Record]) -> list[Record]:
    """Return the last record of each case, in the order the cases first came."""
    last: dict[tuple[str, str], Record] = {}
    for record in records:
        last[record.part, record.case] = record
    return list(last.values())
