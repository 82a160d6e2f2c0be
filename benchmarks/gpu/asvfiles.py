"""A session's records as asv's own files, for ``tracker ingest`` and asv alike.

All launches of one benchmark are its samples, in the order they were measured; the result is their
median. Written whole, from the log, after every case.
"""

from __future__ import annotations

import json
import math
import os
import platform
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import product
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from benchmarks.gpu.records import GpuMeasurement, Record

__all__ = ["CommitInfo", "machine_name", "write_asv_files"]

COLUMNS = (
    "result", "params", "version", "started_at", "duration", "stats_ci_99_a", "stats_ci_99_b",
    "stats_q_25", "stats_q_75", "stats_number", "stats_repeat", "samples", "profile",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class CommitInfo:
    """What was measured: its full hash, and when it was committed (seconds since 1970)."""

    hash: str
    time: int


@dataclass(slots=True)
class _Series:
    like: GpuMeasurement
    started_at: str
    seconds: float = 0.0
    samples: dict[tuple[str, ...], list[float]] = field(default_factory=dict)


def machine_name(facts: dict[str, Any]) -> str:
    """Return the device's name as a folder's: ``nvidia-h100-80gb-hbm3``, or ``cpu``."""
    return re.sub(r"[^a-z0-9]+", "-", str(facts.get("gpu_model") or "cpu").lower()).strip("-")


def write_asv_files(
    folder: Path, records: Sequence[Record], facts: dict[str, Any], commit: CommitInfo
) -> None:
    """Write ``benchmarks.json``, ``machine.json`` and the commit's result file.

    Args:
        folder: The results directory.
        records: Of the cases that are done.
        facts: Of the device.
        commit: What was measured.
    """
    series = _series(records)
    machine = {
        "arch": platform.machine(),
        "cpu": str(facts.get("cpu") or ""),
        "machine": machine_name(facts),
        "num_cpu": str(facts.get("num_cpu") or ""),
        "os": str(facts.get("os") or ""),
        "ram": str(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1024),
    }
    environment = "existing-py" + re.sub(r"[^A-Za-z0-9]+", "_", sys.executable)
    versions = ("driver", "cuda", "torch", "triton", "transformers", "clocks_policy")
    result = {
        "commit_hash": commit.hash,
        "env_name": environment,
        "date": commit.time * 1000,
        "params": {**machine, "python": platform.python_version()},
        "python": platform.python_version(),
        "requirements": {name: facts[name] for name in versions if facts.get(name)},
        "env_vars": {},
        "result_columns": list(COLUMNS),
        "results": {name: _row(one) for name, one in series.items()},
        "durations": {},
        "version": 2,
    }
    listed = {name: _listing(name, one) for name, one in series.items()}
    home = folder / machine["machine"]
    home.mkdir(parents=True, exist_ok=True)
    _write(folder / "benchmarks.json", {**listed, "version": 2})
    _write(home / "machine.json", {**machine, "version": 1})
    _write(home / f"{commit.hash[:8]}-{environment}.json", result)


def _series(records: Sequence[Record]) -> dict[str, _Series]:
    found: dict[str, _Series] = {}
    for record in records:
        for one in record.measurements:
            series = found.setdefault(one.name, _Series(one, record.started_at))
            series.seconds = max(series.seconds, record.seconds)
            samples = series.samples.setdefault(tuple(value for _, value in one.params), [])
            if one.value is not None:
                samples.append(one.value)
    return found


def _params(series: _Series) -> list[list[str]]:
    """Return the values of each parameter, in the order they came."""
    columns = zip(*series.samples, strict=True)
    return [list(dict.fromkeys(column)) for column in columns]


def _row(series: _Series) -> list[Any]:
    params = _params(series)
    points = [series.samples.get(point) for point in product(*params)]
    quarters = [
        quantiles(samples, n=4, method="inclusive") if samples and len(samples) > 1 else None
        for samples in points
    ]
    started = datetime.fromisoformat(series.started_at).timestamp()
    return [
        # asv: null is a failure, NaN is skipped.
        [median(samples) if samples else math.nan if samples == [] else None for samples in points],
        params,
        series.like.version,
        round(started * 1000),
        series.seconds,
        [None] * len(points),
        [None] * len(points),
        [None if one is None else one[0] for one in quarters],
        [None if one is None else one[2] for one in quarters],
        [1 if samples else None for samples in points],
        [len(samples) if samples else None for samples in points],
        [samples or None for samples in points],
    ]


def _listing(name: str, series: _Series) -> dict[str, Any]:
    like = series.like
    return {
        "name": name,
        "type": "track",
        "unit": like.unit,
        "version": like.version,
        "better": like.better,
        "kind": like.kind,
        "code": "",
        "param_names": [param for param, _ in like.params],
        "params": _params(series),
        "timeout": 600,
    }


def _write(path: Path, value: dict[str, Any]) -> None:
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
    partial.replace(path)
