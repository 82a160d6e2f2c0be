"""Is the first launch of a commit like the next ones? Measured, not assumed.

    python -m tests.e2e.first_launch [--bench REGEX] [--trees 8] [--launches 4] [--no-compile] [CONFIG]

Each round takes a fresh worktree of HEAD and launches it several times. Printed for each metric: the
median over rounds of launch k against the last one, with the interval of order statistics (95 % or
the extremes). `--no-compile` leaves the worktree without byte code, as it was before.
"""

from __future__ import annotations

import argparse
import math
from collections import defaultdict
from pathlib import Path
from statistics import median

from tracker.gate.policy import Policy
from tracker.measure.machine import machine_name
from tracker.measure.project import load_project
from tracker.measure.runners import make_runner
from tracker.measure.site import LaunchSites
from tracker.measure.worktree import Worktrees


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("config", nargs="?", type=Path)
    parser.add_argument("--bench", action="append", default=[])
    parser.add_argument("--trees", type=int, default=8)
    parser.add_argument("--launches", type=int, default=4)
    parser.add_argument("--no-compile", action="store_true")
    asked = parser.parse_args()
    if asked.no_compile:
        LaunchSites._compile = lambda self, site: None  # type: ignore[method-assign]
    project = load_project(asked.config)
    runner = make_runner(project, Policy(bench=tuple(asked.bench)), machine=machine_name())
    head = project.repository.resolve("HEAD")
    runner.launch(head)  # the suites' own byte code, and the page cache
    ratios: dict[tuple[str, int], list[float]] = defaultdict(list)
    for number in range(asked.trees):
        Worktrees(project.repository, keep=0).prune()
        launches = [runner.launch(head).values() for _ in range(asked.launches)]
        for name in sorted(launches[-1]):
            for place, values in enumerate(launches[:-1]):
                if values.get(name, 0.0) > 0 < launches[-1][name]:
                    ratios[name, place].append(math.log(values[name] / launches[-1][name]))
        print(f"round {number + 1} of {asked.trees}", flush=True)
    print(f"{'metric':60} {'launch':>6} {'median':>8} {'low':>8} {'high':>8}")
    for (name, place), logs in sorted(ratios.items()):
        ordered = sorted(logs)
        low, high = ordered[_rank(len(ordered))], ordered[-1 - _rank(len(ordered))]
        cells = (f"{math.expm1(value):+8.1%}" for value in (median(logs), low, high))
        print(f"{name:60} {place + 1:6} {' '.join(cells)}")


def _rank(count: int) -> int:
    """Order statistic of the median's interval of at least 95 %, or the extremes where few."""
    tail, rank = 0.0, 0
    while tail + math.comb(count, rank) / 2**count <= 0.025:
        tail += math.comb(count, rank) / 2**count
        rank += 1
    return max(0, rank - 1)


if __name__ == "__main__":
    main()
