"""One simulated gate, and tallies of many."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tests.calibration.noise import CONTROLS, SHAPES, interleaved
from tracker.stats import PairedGate

MAX_PAIRS = 50
CHANGED = 3  # the metric that is slower where one is


@dataclass(frozen=True, slots=True)
class Tally:
    """What many gates did.

    Attributes:
        gates: How many were played.
        false: Gates that called a metric which is not worse than its margin.
        found: Gates that called the changed metric.
        pairs: Mean pairs until the gate stopped by itself.
    """

    gates: int
    false: int
    found: int
    pairs: float


def tally(
    shape: str,
    gates: int,
    seed: int,
    *,
    everywhere: float = 0.0,
    changed: float = 0.0,
    correct: bool = True,
) -> Tally:
    """Play `gates` gates with the default policy.

    Args:
        shape: A key of `noise.SHAPES`.
        gates: How many.
        seed: Of the first; the others count on.
        everywhere: True slowdown of every metric, as a ratio.
        changed: Slowdown of metric 3, on top.
        correct: Whether the gate is told of the controls.
    """
    false = found = pairs = 0
    for number in range(gates):
        called, stopped = play(
            shape, seed + number, everywhere=everywhere, changed=changed, correct=correct
        )
        found += bool(changed) and CHANGED in called
        false += bool(called - ({CHANGED} if changed else set()))
        pairs += stopped
    return Tally(gates, false, found, pairs / gates)


def play(
    shape: str,
    seed: int,
    *,
    everywhere: float = 0.0,
    changed: float = 0.0,
    leave_out: bool = False,
    correct: bool = True,
) -> tuple[set[int], int]:
    """Return the metrics called a regression and the pairs at which the gate stopped.

    It stops as `tracker gate` does: when everything is decided, or at the look that calls a
    regression. With `leave_out`, decided metrics are no longer measured; without `correct`, it is
    not told of the controls.
    """
    rng = np.random.default_rng(seed)
    drawn = interleaved(rng, SHAPES[shape], MAX_PAIRS)
    head = drawn.head + np.log1p(everywhere)
    head[:, CHANGED] += np.log1p(changed)
    names = [f"m{number}" for number in range(head.shape[1])]
    # Gates share drawn flips by the hundred, which the gate caches.
    gate = PairedGate(dict.fromkeys(names, "lower"), max_pairs=MAX_PAIRS, seed=seed // 250)
    controls = np.exp([drawn.base_controls, drawn.head_controls]).transpose(1, 2, 0).tolist()
    for before, after, times in zip(np.exp(drawn.base), np.exp(head), controls, strict=True):
        pair: Mapping[str, tuple[float, float]] = {
            name: (float(b), float(h)) for name, b, h in zip(names, before, after, strict=True)
        }
        if leave_out:
            pair = {name: pair[name] for name in gate.pending()}
        control = dict(zip(CONTROLS, map(tuple, times), strict=True)) if correct else {}
        gate.add(pair, dict.fromkeys(pair, control))
        if gate.regressions() or not gate.pending():
            break
    return {names.index(name) for name in gate.regressions()}, gate.pairs
