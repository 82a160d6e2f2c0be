"""How long `tracker changepoints` takes over many long histories.

``python -m tests.tracker.changepoints.scale STORE.db --series 10000 --commits 1000`` fills a new
SQLite store through the ordinary writes (one result file a commit; noise of Student's t with 3
degrees of freedom, steps in a fifth of the series) unless the file is there. It looks at every series
afresh, again with nothing changed, and once more with one more commit of all series, and prints the
times by the clock and of the processor.
"""

import argparse
import time
from pathlib import Path

import numpy as np

from tests.tracker.changepoints.stores import record
from tracker.changepoints import analyze
from tracker.domain import BenchmarkInfo
from tracker.stats import ShiftDetector
from tracker.store import Store, queries
from tracker.store.derived import rebuild


def values(num_series: int, num_commits: int) -> np.ndarray:
    """``[commits, series]``: level 1, noise of 1 %; a step of 5 % in every fifth series."""
    rng = np.random.default_rng(0)
    made = 1 + 0.01 * rng.standard_t(3, (num_commits, num_series))
    for series in range(0, num_series, 5):
        made[rng.integers(num_commits) :, series] *= 1.05
    return made


def fill(store: Store, num_series: int, num_commits: int, *, start: int = 0) -> None:
    benchmarks = [
        BenchmarkInfo(
            f"bench_{i // 100}.Suite.track_{i % 100}", "1", "track", "s", "lower", "timing"
        )
        for i in range(num_series)
    ]
    store.record_project("engine")
    store.record_benchmarks("engine", benchmarks)
    for number, row in enumerate(values(num_series, num_commits), start):
        record(store, number, dict(zip(benchmarks, row.tolist(), strict=True)), driver="1")


def new_point(num_points: int) -> float:
    """Median seconds of detector time that one more point costs after `num_points`."""
    series = values(1, num_points + 100)[:, 0]
    detector = ShiftDetector()
    detector.extend(series[:num_points])
    detector.change_points()
    took = []
    for value in series[num_points:]:
        start = time.perf_counter()
        detector.add(value)
        detector.change_points()
        took.append(time.perf_counter() - start)
    print(f"one more point at {num_points}: median {np.median(took):.2e} s, most {max(took):.2e} s")
    return float(np.median(took))


def look(store: Store, name: str) -> None:
    wall, cpu = time.perf_counter(), time.process_time()
    analysis = analyze(store)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(
        f"{name}: {analysis.num_series} series, {analysis.num_points} points, "
        f"{analysis.num_shifts} shifts in {wall:.2f} s, {cpu:.2f} s of processor time",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", type=Path)
    parser.add_argument("--series", type=int, default=10_000)
    parser.add_argument("--commits", type=int, default=1_000)
    asked = parser.parse_args()
    fresh = not asked.store.exists()
    new_point(asked.commits)
    with Store.open(f"sqlite:///{asked.store}") as store:
        if fresh:
            start = time.perf_counter()
            fill(store, asked.series, asked.commits)
            print(f"filled in {time.perf_counter() - start:.1f} s", flush=True)
        store.write(rebuild)  # forgets what earlier looks went by
        look(store, "all afresh")
        look(store, "unchanged")
        (project,) = queries.list_projects(store)
        fill(store, asked.series, 1, start=project.num_revisions)
        look(store, "one more commit")


if __name__ == "__main__":
    main()
