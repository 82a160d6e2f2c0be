"""Suites measure every commit with the load harness that lies beside them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

PROBE = """
import sys
from asv_runner._aux import update_sys_path
update_sys_path(sys.argv[1])
import benchmarks.bench_decode
import tracker.load.run
print(tracker.load.run.__file__)
"""


def test_another_commits_tracker_on_the_path_is_not_used(tmp_path):
    other = tmp_path / "tracker"
    other.mkdir()
    (other / "__init__.py").write_text(
        "raise AssertionError('the measured commit is not the tool')"
    )
    done = subprocess.run(
        [sys.executable, "-c", PROBE, str(ROOT / "benchmarks")],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        cwd="/",
    )
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()) == ROOT / "tracker" / "load" / "run.py"
