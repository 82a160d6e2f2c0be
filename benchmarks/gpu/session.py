"""Runs what is missing of a part, case by case, inside a time limit."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.gpu.parts import PARTS
from benchmarks.gpu.records import Record, append, latest, read, record_of

__all__ = ["run_part"]

ROOT = Path(__file__).parents[2]
CUT_OFF = "the part's time was up"


def run_part(
    part: str,
    device: str,
    folder: Path,
    *,
    limit: float,
    say: Callable[[str], None],
    after_case: Callable[[], None],
) -> bool:
    """Run the cases of ``part`` that ``folder`` has no result of.

    Args:
        part: A key of ``PARTS``.
        device: ``"cuda"`` or ``"cpu"``.
        folder: Where the log is.
        limit: Seconds after which the case under way is ended and no further one begun.
        say: Prints a line of progress.
        after_case: Called after each case.

    Returns:
        Whether every case is now done, or skipped for a reason of this machine.
    """
    began = time.monotonic()
    done = {r.case for r in latest(read(folder)) if r.part == part and r.status != "failed"}
    cases = PARTS[part].cases(device)
    missing = [case for case in cases if case not in done]
    if len(missing) < len(cases):
        say(f"{part}: {len(cases) - len(missing)} of {len(cases)} cases were done before")
    for number, case in enumerate(missing, start=1):
        left = limit - (time.monotonic() - began)
        if left <= 0:
            say(f"{part}: time is up, {len(missing) - number + 1} cases left; run it again")
            return False
        record = _run_case(part, case, device, folder, left)
        words = record.status if record.problem is None else f"{record.status}: {record.problem}"
        say(f"{part} {number}/{len(missing)}  {case}  {record.seconds:.1f} s  {words}")
        # Cut short by those before it: the next run gives it more time.
        if record.problem == CUT_OFF and number > 1:
            say(f"{part}: {len(missing) - number + 1} cases left; run it again")
            return False
        append(folder, record)
        after_case()
    last = {r.case: r.status for r in latest(read(folder)) if r.part == part}
    return all(last.get(case) in ("done", "skipped") for case in cases)


def _run_case(part: str, case: str, device: str, folder: Path, limit: float) -> Record:
    started_at = datetime.now(UTC).isoformat(timespec="seconds")
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "outcome.json"
        command = [
            sys.executable,
            "-m",
            "benchmarks.gpu.child",
            part,
            case,
            device,
            str(folder),
            str(out),
        ]
        child = subprocess.Popen(
            command,
            cwd=ROOT,
            env=_environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # so that its own children end with it
        )
        try:
            _, errors = child.communicate(timeout=limit)
        except BaseException as reason:
            os.killpg(child.pid, signal.SIGKILL)
            child.communicate()
            if not isinstance(reason, subprocess.TimeoutExpired):
                raise
            outcome: dict[str, Any] = {"status": "failed", "problem": CUT_OFF}
        else:
            if out.exists():
                outcome = json.loads(out.read_text(encoding="utf-8"))
            else:
                problem = f"its process ended with {child.returncode}: {errors.strip()[-500:]}"
                outcome = {"status": "failed", "problem": problem}
    seconds = time.monotonic() - began
    return record_of(
        {"part": part, "case": case, "started_at": started_at, "seconds": seconds, **outcome}
    )


def _environment() -> dict[str, str]:
    path = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, path)),
        "PACEKEEPER_SOURCE": str(ROOT),
    }
