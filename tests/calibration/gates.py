"""One simulated gate, and tallies of many."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tests.calibration.noise import CONTROLS, SHAPES, Shape, interleaved
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

    It stops as `tracker gate` does: when no metric is worth another pair, or at the look that calls
    a regression. With `leave_out`, only what is pending is measured; without `correct`, the gate is
    not told of the controls.
    """
    gate = run(
        SHAPES[shape], seed, everywhere=everywhere, changed=changed,
        leave_out=leave_out, correct=correct, until_called=True,
    )  # fmt: skip
    return {int(name[1:]) for name in gate.regressions()}, gate.pairs


def run(
    shape: Shape,
    seed: int,
    *,
    kind: type[PairedGate] = PairedGate,
    everywhere: float = 0.0,
    changed: float = 0.0,
    leave_out: bool = False,
    correct: bool = True,
    until_called: bool = False,
) -> PairedGate:
    """Return a gate that measured until nothing was pending, or until something was called."""
    rng = np.random.default_rng(seed)
    drawn = interleaved(rng, shape, MAX_PAIRS)
    head = drawn.head + np.log1p(everywhere)
    head[:, CHANGED] += np.log1p(changed)
    names = [f"m{number}" for number in range(head.shape[1])]
    # Gates share drawn flips by the hundred, which the gate caches.
    gate = kind(dict.fromkeys(names, "lower"), max_pairs=MAX_PAIRS, seed=seed // 250)
    controls = np.exp([drawn.base_controls, drawn.head_controls]).transpose(1, 2, 0).tolist()
    values = np.stack([np.exp(drawn.base), np.exp(head)], axis=-1).tolist()
    for row, times, base_first in zip(values, controls, drawn.base_first, strict=True):
        pair = dict(zip(names, map(tuple, row), strict=True))
        if leave_out:
            pair = {name: pair[name] for name in gate.pending()}
        control = dict(zip(CONTROLS, map(tuple, times), strict=True)) if correct else {}
        gate.add(pair, dict.fromkeys(pair, control), first="base" if base_first else "head")
        if not gate.pending() or (until_called and gate.regressions()):
            break
    return gate


class Patient(PairedGate):
    """A gate that gives no metric up."""

    def pending(self) -> frozenset[str]:
        if self.pairs >= self.max_pairs:
            return frozenset()
        return frozenset(set(self._metrics) - self._decided.keys())


@dataclass(frozen=True, slots=True)
class Saving:
    """What giving metrics up saves and costs; means over gates.

    Attributes:
        pairs: Of the gate, and of one that gives nothing up.
        decided: Metrics, likewise.
        lost: Metrics that were not given up and have another verdict, in all gates.
    """

    pairs: tuple[float, float]
    decided: tuple[float, float]
    lost: int


def saving(shape: Shape, gates: int, seed: int) -> Saving:
    """Play unchanged gates twice, with and without giving up."""
    pairs, decided, lost = np.zeros(2), np.zeros(2), 0
    for number in range(gates):
        both = [run(shape, seed + number, kind=kind) for kind in (PairedGate, Patient)]
        ours, patient = ({n: v.status for n, v in gate.verdicts().items()} for gate in both)
        pairs += [gate.pairs for gate in both]
        decided += [sum(s != "inconclusive" for s in status.values()) for status in (ours, patient)]
        kept = ours.keys() - both[0].given_up()
        lost += sum(ours[name] != patient[name] for name in kept)
    means = [tuple((total / gates).tolist()) for total in (pairs, decided)]
    return Saving(*means, lost)
