"""The control workload around a launch whose suites run none of their own.

Its times go into a launch artifact for each suite, the form in which a suite that measures the
machine itself hands them over; so the gate, the store and a replay use them alike.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path

from tracker.artifacts import FORMAT
from tracker.domain import Fingerprint, Launch
from tracker.load import control

__all__ = ["control_times", "suites_without_control", "write_controls"]

_SECONDS = 60.0
_ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS"), "1"
)


def control_times() -> dict[str, float] | None:
    """Run the control in a process of its own; None where it cannot run here."""
    try:
        done = subprocess.run(
            [sys.executable, "-P", str(Path(control.__file__))],  # without its package: faster
            env={**os.environ, **_ONE_THREAD},
            capture_output=True,
            text=True,
            check=True,
            timeout=_SECONDS,
        )
        times: dict[str, float] = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return times


def suites_without_control(benchmarks: Iterable[str], launches: Iterable[Launch]) -> list[str]:
    """Return the suites, names before the last dot, that handed over no artifact of their own."""
    own = {launch.benchmark for launch in launches}
    return sorted({name.rpartition(".")[0] for name in benchmarks} - own)


def write_controls(
    folder: Path,
    suites: Iterable[str],
    *,
    before: Mapping[str, float],
    after: Mapping[str, float],
    fingerprint: Fingerprint,
) -> list[Path]:
    """Write a launch artifact with the control's times for each suite; return the files.

    Args:
        folder: Of the launch's artifacts.
        suites: Their names.
        before: Seconds by part before the launch.
        after: Seconds by part after it.
        fingerprint: Of the machine and the measured interpreter.
    """
    facts = asdict(fingerprint) | {"extra": dict(fingerprint.extra)}
    files: list[Path] = []
    for suite in suites:
        identity = uuid.uuid4().hex
        header = {
            "record": "launch",
            "format": FORMAT,
            "launch_id": identity,
            "benchmark": suite,
            "fingerprint": facts,
            "control": {"before": dict(before), "after": dict(after)},
        }
        path = folder / f"control-{identity}.jsonl"
        path.write_text(json.dumps(header) + "\n", encoding="utf-8")
        files.append(path)
    return files
