"""What one file costs an ingest as the number of files grows, and what an unchanged tree costs.

``python -m tests.tracker.ingest.growth DIR --files 1000 10000 100000`` makes a results directory of each
size in DIR unless it is there, ingests it into a new store twice, and prints processor time: for each
file, for each million results, and of the second ingest, which opens no file.
"""

import argparse
import gc
import json
import os
import time
from pathlib import Path

from tests.tracker.asv_results import (
    COMMITTED,
    commit_hash,
    result_file,
    row,
    write_benchmarks,
    write_machine,
)
from tracker.ingest import ingest_directory
from tracker.store import Store


def make(results: Path, num_files: int, num_results: int) -> None:
    """Write `num_files` result files, a minute of commits apart; `benchmarks.json` comes last."""
    write_machine(results)
    names = [f"bench.Suite.time_{index}" for index in range(num_results)]
    for number in range(num_files):
        moment = COMMITTED + 60_000 * number
        rows = {
            name: row(1 + number % 7 / 100, started=moment, stats_q_25=[1.0], stats_q_75=[1.1])
            for name in names
        }
        file = results / "box" / f"{commit_hash(number)[:8]}-env.json"
        file.write_text(json.dumps(result_file(number, rows, date=moment)))
    write_benchmarks(results, {name: {} for name in names})
    before = time.time() - 60  # an ingest does not trust the time of what was written just now
    for file in results.rglob("*.json"):
        os.utime(file, (before, before))


def look(store: Store, results: Path) -> tuple[float, int]:
    """Ingest; return seconds of processor time and the number of results."""
    start = time.process_time()
    report = ingest_directory(store, results, project="growth")
    return time.process_time() - start, report.added + report.unchanged


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.tracker.ingest.growth", description=__doc__
    )
    parser.add_argument("place", type=Path, metavar="DIR")
    parser.add_argument("--files", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--results", type=int, default=10, help="Results in each file.")
    asked = parser.parse_args()
    gc.set_threshold(50_000)  # as the command line does
    for num_files in asked.files:
        results = asked.place / str(num_files)
        if not (results / "benchmarks.json").exists():
            make(results, num_files, asked.results)
        database = asked.place / f"{num_files}.db"
        for stale in asked.place.glob(f"{database.name}*"):
            stale.unlink()
        with Store.open(f"sqlite:///{database}") as store:
            first, num_results = look(store, results)
            second, _ = look(store, results)
        print(
            f"{num_files} files: {1e6 * first / num_files:.0f} µs a file, "
            f"{1e6 * first / num_results:.1f} s a million results; "
            f"unchanged: {1e6 * second / num_files:.0f} µs a file",
            flush=True,
        )


if __name__ == "__main__":
    main()
