"""Measure this machine's GPU, part by part. ``make gpu`` calls it.

Exit codes: 0 every case of the parts asked for is done; 1 some failed or are left (run it again); 2
usage.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.gpu.asvfiles import CommitInfo, machine_name, write_asv_files
from benchmarks.gpu.parts import PARTS
from benchmarks.gpu.records import latest, read
from benchmarks.gpu.session import run_part
from benchmarks.gpu.summary import summary

ROOT = Path(__file__).parents[2]
LIMIT = 450.0  # seconds: with its start and end, a part stays inside eight minutes


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse ``arguments`` (None: the command line's), run, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu",
        description="Measure this machine's GPU without a network; a second run goes on.",
        epilog="exit codes: 0 complete, 1 cases failed or are left (run it again), 2 usage",
    )
    parser.add_argument("--part", choices=[*PARTS, "all"], default="all")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda", help="cpu: toy sizes")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="default: benchmarks/results/<device>/<date>"
    )
    parser.add_argument("--limit", type=float, default=LIMIT, help="seconds a part may take")
    parser.add_argument("--commit", metavar="HASH", help="what is measured; else git is asked")
    parser.add_argument(
        "--committed", type=int, metavar="SECONDS", help="its time, since 1970; with --commit"
    )
    options = parser.parse_args(arguments)
    if (options.commit is None) != (options.committed is None):
        parser.error("give --commit and --committed together")
    commit = _head() if options.commit is None else CommitInfo(options.commit, options.committed)
    if commit is None:
        parser.error("no git repository here; give --commit HASH --committed SECONDS")
    name = _device_name(options.device)
    if name is None:
        parser.error("torch finds no CUDA device; --device cpu tries the parts at toy sizes")
    today = datetime.now(UTC).date().isoformat()
    folder = options.out or ROOT / "benchmarks" / "results" / name / today
    folder = folder.resolve()

    def write() -> None:
        records = latest(read(folder))
        facts = next((r.facts for r in records if r.part == "facts" and r.facts), {})
        # The page is there whatever went wrong; the files hold what is done.
        (folder / "summary.md").write_text(summary(records, facts, commit), encoding="utf-8")
        write_asv_files(folder, [r for r in records if r.status == "done"], facts, commit)

    # As Ctrl-C does: the case under way ends with this process, and is not a result.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    complete = True
    for part in PARTS if options.part == "all" else [options.part]:
        complete &= run_part(
            part,
            options.device,
            folder,
            limit=min(options.limit, getattr(PARTS[part], "LIMIT", LIMIT)),
            say=_say,
            after_case=write,
        )
    _say(f"{folder}: {'complete' if complete else 'incomplete; run it again to go on'}")
    return 0 if complete else 1


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _head() -> CommitInfo | None:
    show = ["git", "-C", str(ROOT), "show", "-s", "--format=%H %ct", "HEAD"]
    try:
        done = subprocess.run(show, capture_output=True, text=True)
    except OSError:  # a bare machine may have no git either
        return None
    if done.returncode != 0:
        return None
    commit, seconds = done.stdout.split()
    return CommitInfo(commit, int(seconds))


def _device_name(device: str) -> str | None:
    if device == "cpu":
        return machine_name({})
    import torch

    if not torch.cuda.is_available():
        return None
    return machine_name({"gpu_model": torch.cuda.get_device_name(0)})


if __name__ == "__main__":
    sys.exit(main())
