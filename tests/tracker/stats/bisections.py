"""Simulated bisections: how often the named commit is the guilty one, and what that costs.

python -m tests.tracker.stats.bisections        # the table of docs/statistics.md
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from tracker.stats.bisection import Bisection
from tracker.stats.calibration import lower_bound

NOISE: dict[str, Callable[[np.random.Generator], float]] = {
    "normal": lambda source: source.normal(),
    "t3": lambda source: source.standard_t(3) / math.sqrt(3),
    "bimodal": lambda source: 0.5 * source.normal() + source.choice([0] * 8 + [3, -3]),
}
NUM_COMMITS = 24


def find(
    source: np.random.Generator, shape: str, *, size: float, max_pairs: int = 100
) -> tuple[int, int | None, int]:
    """Bisect once: the first bad commit, the named one (None: not named), the pairs it took.

    Args:
        source: Of the truth and of the noise.
        shape: One of `NOISE`.
        size: Of the step, in standard deviations of a pair's noise.
        max_pairs: After the eight of the bad commit.
    """
    noise = NOISE[shape]
    first = int(source.integers(1, NUM_COMMITS + 1))
    bisection = Bisection(NUM_COMMITS)
    bad = [-1.0]
    while np.median(bad) <= 0:  # no gate would have called it
        bad = [size + noise(source) for _ in range(8)]
    for value in bad:
        bisection.observe(NUM_COMMITS, value)
    pairs = 0
    while pairs < max_pairs:
        posterior = bisection.posterior()
        if posterior.max() >= 0.95:
            return first, int(posterior.argmax()) + 1, pairs
        number = bisection.next()
        assert number is not None
        for _ in range(2):
            bisection.observe(number, (size if number >= first else 0.0) + noise(source))
        pairs += 2
    return first, None, pairs


def main(runs: int = 200) -> None:
    """Print the table, a row a shape and size."""
    print("| noise | step / noise | named | right | at least (95 %) | mean pairs |")
    print("|---|--:|--:|--:|--:|--:|")
    for shape in NOISE:
        for size in (1.5, 3.0, 6.0):
            source = np.random.default_rng(2026)
            found = [find(source, shape, size=size) for _ in range(runs)]
            named = [one for one in found if one[1] is not None]
            right = sum(one[0] == one[1] for one in named)
            print(
                f"| {shape} | {size:g} | {len(named)} of {runs} | {right / len(named):.1%} | "
                f"{lower_bound(right, len(named)):.1%} | {np.mean([one[2] for one in found]):.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
