"""Run every table and write it into `docs/statistics.md`; `--quick` prints small ones instead.

Finished rows are kept under `.pacekeeper/calibration/` by the algorithm's version, so that a killed
run goes on.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from tests.calibration.history import history_tables
from tests.calibration.tables import GATES, SEED, Cells, Job, Table, gate_tables

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "statistics.md"
KEPT = ROOT / ".pacekeeper" / "calibration"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.calibration", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a twentieth of the gates; print only")
    parser.add_argument(
        "--fresh",
        action="store_true",
        help="forget what earlier runs finished (after a change that bumps no version)",
    )
    parser.add_argument("--only", choices=("gate", "history"), help="only these tables")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default 2)")
    parser.add_argument("--data", type=Path, default=_data(), help="recorded histories")
    options = parser.parse_args()
    started = time.monotonic()
    gates = GATES // 20 if options.quick else GATES
    # The longest first, so that the other process does the short rows meanwhile.
    sections = {"history": history_tables(options.data, options.quick), "gate": gate_tables(gates)}
    wanted = {name: tables for name, tables in sections.items() if options.only in (None, name)}
    jobs = {
        _key(options.quick, table, job): job.compute
        for tables in wanted.values()
        for table in tables
        for job in table.jobs
    }
    results = run(jobs, processes=options.jobs, fresh=options.fresh)
    for name, tables in wanted.items():
        text = markdown(
            (t.title, t.headers, [(j.label, *results[_key(options.quick, t, j)]) for j in t.jobs])
            for t in tables
        )
        if options.quick:
            print(text)
        else:
            write(name, text)
    print(f"{time.monotonic() - started:.0f} s, seed {SEED}", file=sys.stderr)


def run(jobs: dict[str, Callable[[], Cells]], *, processes: int, fresh: bool) -> dict[str, Cells]:
    """Return the result of every job, from what is kept or by running it."""
    KEPT.mkdir(parents=True, exist_ok=True)
    files = {key: KEPT / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.json" for key in jobs}
    results = {
        key: json.loads(file.read_text())["result"]
        for key, file in files.items()
        if file.exists() and not fresh
    }
    waiting = [key for key in jobs if key not in results]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        futures = {pool.submit(jobs[key]): key for key in waiting}
        for number, future in enumerate(as_completed(futures), start=1):
            key = futures[future]
            results[key] = future.result()
            whole = files[key].with_suffix(".new")
            whole.write_text(json.dumps({"key": key, "result": results[key]}))
            whole.replace(files[key])
            print(f"{number}/{len(waiting)} {key}", file=sys.stderr, flush=True)
    return results


def markdown(section: Iterable[tuple[str, Sequence[str], Sequence[Sequence[str]]]]) -> str:
    lines: list[str] = []
    for title, headers, rows in section:
        lines += [f"**{title}**", "", _line(headers), "|" + "---|" * len(headers)]
        lines += [_line(row) for row in rows] + [""]
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def write(name: str, text: str) -> None:
    """Put `text` between the page's markers of that name."""
    begin, end = f"<!-- calibration: {name} -->\n", f"<!-- end of calibration: {name} -->"
    page = PAGE.read_text()
    if begin not in page or end not in page:
        sys.exit(
            f"{PAGE} lacks the markers {begin.strip()} and {end}; put them where the tables go"
        )
    before, _, rest = page.partition(begin)
    after = rest.partition(end)[2]
    PAGE.write_text(f"{before}{begin}\n{text}\n{end}{after}")


def _key(quick: bool, table: Table, job: Job) -> str:
    """Return the name of a row: what made it, and with which seed."""
    quickly = ["quick"] if quick else []
    return " | ".join([job.made_by, *quickly, table.title, job.label, f"seed {SEED}"])


def _data() -> Path:
    return Path(os.environ.get("PACEKEEPER_DATA", ROOT.parent / "shared" / "data"))


if __name__ == "__main__":
    main()
