"""Runs the command line as users do: a process, its output, its exit code."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.tracker.measure.toy import quiet_environment


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


def tracker(root: Path, *args: str) -> Done:
    done = subprocess.run(
        [sys.executable, "-m", "tracker", *args],
        cwd=root,
        env=quiet_environment(Path(os.environ["HOME"])),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)
