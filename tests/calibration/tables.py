"""The tables of the gate, row by row: each row is one job, so that a killed run goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from tests.calibration.candidates import CANDIDATES
from tests.calibration.gates import CHANGED, MAX_PAIRS, Tally, saving, tally
from tests.calibration.noise import LOUD, SHAPES, interleaved
from tests.calibration.peers import PEERS, call_rate
from tests.calibration.side_by_side import HEADERS, rows
from tracker.stats.calibration import upper_bound
from tracker.stats.paired import ALGORITHM

__all__ = ["Job", "Table", "gate_tables"]

SEED = 20_260_101
GATES = 2_000
# Rules that compare logarithms have none of 0.
PEER_SHAPES = tuple(shape for shape in SHAPES if shape != "5 % zeros")
Cells = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Job:
    """One row of a table: its label and what computes the other cells.

    A row that is kept serves until another version of what `made_by` names makes it.
    """

    label: str
    compute: Callable[[], Cells]
    made_by: str = ALGORITHM


@dataclass(frozen=True, slots=True)
class Table:
    title: str
    headers: Cells
    jobs: tuple[Job, ...]


def gate_tables(gates: int = GATES) -> list[Table]:
    """Return the tables of the paired gate, `gates` gates a row."""
    few = max(gates // 4, 20)
    return [
        Table(
            f"No metric changed: {gates:,} gates of 20 metrics a row",
            ("noise", "gates with a false regression", "95 % bound", "mean pairs"),
            tuple(Job(shape, partial(false_row, shape, gates, 0.0)) for shape in SHAPES),
        ),
        Table(
            f"Every metric exactly at the margin (+1 %): {gates:,} gates a row",
            ("noise", "gates with a regression", "95 % bound", "mean pairs"),
            tuple(Job(shape, partial(false_row, shape, gates, 0.01)) for shape in SHAPES),
        ),
        Table(
            f"One metric of 20 slower: {few:,} gates a row",
            ("noise, slowdown", "called", "another metric called", "mean pairs"),
            tuple(
                Job(f"{shape}, +{slowdown:.0%}", partial(power_row, shape, few, slowdown))
                for shape in SHAPES
                for slowdown in (0.03, 0.05)
            ),
        ),
        Table(
            f"With and without the control: {few:,} gates a row, one metric of 20 slower or none",
            (
                "noise, slowdown",
                "without: called, another",
                "mean pairs",
                "with: called, another",
                "mean pairs",
            ),
            tuple(
                Job(f"{shape}, +{slowdown:.0%}", partial(control_row, shape, few, slowdown))
                for shape in ("Gaussian", "node effect", "loud node", "recorded A/A launches")
                for slowdown in (0.0, 0.03, 0.1)
            ),
        ),
        Table(
            f"Metrics that are given up: {few // 5:,} gates a row, no metric changed",
            (
                "noise",
                "mean pairs",
                "without giving up",
                "metrics decided of 20",
                "without giving up",
                "verdicts lost by others",
            ),
            tuple(Job(shape, partial(saving_row, shape, few // 5)) for shape in LOUD),
        ),
        Table(
            f"Ways to call a regression, without the pass rule: {gates // 10:,} sessions a cell",
            (
                "test",
                "false at the margin: Gaussian",
                "false: t₃",
                "false: bimodal",
                "false: AR(1)",
                "+3 % called, mean pairs: Gaussian",
                "+3 %: t₃",
                "+3 %: bimodal",
                "+5 %: Gaussian",
            ),
            tuple(Job(name, partial(candidate_row, name, gates // 10)) for name in CANDIDATES),
        ),
        Table(
            f"Other tools, unchanged commits: share of metrics called slower, {few:,} sessions a cell",
            ("rule (launches of each commit)", *PEER_SHAPES, "found at +5 %, Gaussian"),
            tuple(
                Job(f"{name} ({peer.launches})", partial(peer_row, name, few))
                for name, peer in PEERS.items()
            ),
        ),
        Table(
            f"Side by side: 20 metrics, one of them slower or none; {few:,} sessions a cell",
            HEADERS,
            tuple(Job(name, compute) for name, compute in rows(SEED, few).items()),
        ),
    ]


def false_row(shape: str, gates: int, everywhere: float) -> Cells:
    found = tally(shape, gates, SEED, everywhere=everywhere)
    return (*_rate(found, found.false), f"{found.pairs:.1f}")


def power_row(shape: str, gates: int, slowdown: float) -> Cells:
    found = tally(shape, gates, SEED, changed=slowdown)
    return (
        f"{found.found} / {found.gates} ({found.found / found.gates:.1%})",
        f"{found.false}",
        f"{found.pairs:.1f}",
    )


def control_row(shape: str, gates: int, slowdown: float) -> Cells:
    cells: list[str] = []
    for correct in (False, True):
        found = tally(shape, gates, SEED, changed=slowdown, correct=correct)
        cells += [f"{found.found / gates:.1%}, {found.false / gates:.1%}", f"{found.pairs:.1f}"]
    return tuple(cells)


def saving_row(shape: str, gates: int) -> Cells:
    saved = saving(LOUD[shape], gates, SEED)
    return (
        *(f"{mean:.1f}" for mean in (*saved.pairs, *saved.decided)),
        f"{saved.lost}",
    )


def _rate(found: Tally, count: int) -> Cells:
    return f"{count} ({count / found.gates:.2%})", f"{upper_bound(count, found.gates):.2%}"


def candidate_row(name: str, sessions: int) -> Cells:
    false = [
        f"{candidate_calls(name, shape, sessions, 0.01, 0.0)[0]:.1%}"
        for shape in ("Gaussian", "Student t₃", "bimodal launches", "AR(1) 0.5")
    ]
    power = [
        "{:.1%}, {:.1f}".format(*candidate_calls(name, shape, sessions, 0.0, slowdown))
        for shape, slowdown in (
            ("Gaussian", 0.03),
            ("Student t₃", 0.03),
            ("bimodal launches", 0.03),
            ("Gaussian", 0.05),
        )
    ]
    return (*false, *power)


def candidate_calls(
    name: str, shape: str, sessions: int, everywhere: float, changed: float
) -> tuple[float, float]:
    """Return the share of sessions with a call, and the mean pairs (50 where there was none).

    Where a metric is slower, only a call of it counts.
    """
    called = total = 0
    for number in range(sessions):
        drawn = interleaved(np.random.default_rng(SEED + number), SHAPES[shape], MAX_PAIRS)
        differences = drawn.head - drawn.base + np.log1p(everywhere) - np.log1p(0.01)
        differences[:, CHANGED] += np.log1p(changed)
        metrics, pairs = CANDIDATES[name](differences)
        called += CHANGED in metrics if changed else bool(metrics)
        total += pairs or MAX_PAIRS
    return called / sessions, total / sessions


def peer_row(name: str, sessions: int) -> Cells:
    false = [call_rate(PEERS[name], shape, sessions, SEED, 0.0) for shape in PEER_SHAPES]
    found = call_rate(PEERS[name], "Gaussian", sessions, SEED, 0.05)
    return tuple(f"{rate:.1%}" for rate in (*false, found))
