"""A fixed workload that no commit touches: when its time changes, the machine changed.

Run before and after what is timed, so that whoever compares two launches can separate a slower commit
from a slower machine. Its parts are slowed by different neighbours: arithmetic, memory, and the
interpreter, which another process on the same core's second thread slows most.

    python -m tracker.load.control          prints its times on this host's CPU as JSON

An engine whose load runs on a device gives its own arithmetic and copies to `interleaved_medians`.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any

__all__ = ["control_metrics", "count", "host_control", "interleaved_medians", "seconds_of"]

# Changed sizes are other times: launches measured with the old ones compare with none of the new.
_EDGE = 384  # of the square matrices multiplied, float32
_COPIED = 8 << 20  # bytes, beyond the caches nearest to the cores
_ROUNDS = 64
_COUNTED = 5_000

Act = Callable[[], Any]


def host_control() -> dict[str, float]:
    """Return the seconds of one product, one copy and one stretch of Python: gemm, copy, python.

    On one thread only where the process was started with one (OMP_NUM_THREADS and its kin).

    Cost:
        About 0.3 s.
    """
    import numpy as np

    left = np.ones((_EDGE, _EDGE), dtype=np.float32)
    product = np.empty_like(left)
    source = np.ones(_COPIED, dtype=np.uint8)
    target = np.empty_like(source)
    work: dict[str, Act] = {
        "gemm": lambda: np.matmul(left, left, out=product),
        "copy": lambda: np.copyto(target, source),
        "python": count,
    }
    return interleaved_medians(work, dict.fromkeys(work, seconds_of), _ROUNDS)


def interleaved_medians(
    work: Mapping[str, Act], timers: Mapping[str, Callable[[Act], float]], rounds: int
) -> dict[str, float]:
    """Return the median seconds of each act, timed in turn: one interrupted round does not count.

    Args:
        work: By part.
        timers: By part: runs an act and returns its seconds.
        rounds: How often each is timed, after one run that is not.
    """
    for part, act in work.items():
        timers[part](act)  # pages, kernels and clocks wake up outside the count
    seconds: dict[str, list[float]] = {part: [] for part in work}
    for _ in range(rounds):
        for part, act in work.items():
            seconds[part].append(timers[part](act))
    return {part: median(times) for part, times in seconds.items()}


def seconds_of(act: Act) -> float:
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


def count() -> None:
    """Keep the interpreter busy for about half a millisecond."""
    counts: dict[int, int] = {}
    for number in range(_COUNTED):
        counts[number & 255] = counts.get(number & 255, 0) + number


def control_metrics(before: dict[str, float], after: dict[str, float]) -> dict[str, float | None]:
    """Return the control's times as a launch's metrics: the mean of before and after, s."""
    return {f"control_{name}": (before[name] + after[name]) / 2 for name in before}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(host_control()))
