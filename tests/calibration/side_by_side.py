"""The same planted changes, judged by the gate and by the rules that teams use today."""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from tests.calibration.gates import CHANGED, tally
from tests.calibration.noise import CONTROLS, SHAPES
from tests.calibration.peers import PEERS, Peer

__all__ = ["HEADERS", "rows"]

_UNCHANGED = ("Gaussian", "recorded A/A launches", "loud node", "drift of 10 s")
_CHANGED = [(slowdown, shape) for slowdown in (0.03, 0.05) for shape in _UNCHANGED[:2]]

HEADERS = (
    "rule",
    "launches of each commit, unchanged",
    *(f"false alarms: {shape}" for shape in _UNCHANGED),
    *(f"+{slowdown:.0%} found: {shape}" for slowdown, shape in _CHANGED),
)


def rows(seed: int, sessions: int) -> dict[str, partial[tuple[str, ...]]]:
    """Return by rule what computes its row.

    A false alarm is a session in which any of the metrics is called slower though none changed; a
    change of one metric is found where that metric is called.

    Args:
        seed: Of the first session; the others count on.
        sessions: Of each cell.
    """
    computed = {"Pacekeeper": partial(_gate, seed, sessions)}
    computed |= {name: partial(_peer, PEERS[name], seed, sessions) for name in PEERS}
    return computed


def _gate(seed: int, sessions: int) -> tuple[str, ...]:
    unchanged = [tally(shape, sessions, seed) for shape in _UNCHANGED]
    changed = [tally(shape, sessions, seed, changed=slowdown).found for slowdown, shape in _CHANGED]
    return (
        ", ".join(f"{one.pairs:.0f}" for one in unchanged),
        *(_share(one.false, sessions) for one in unchanged),
        *(_share(found, sessions) for found in changed),
    )


def _peer(peer: Peer, seed: int, sessions: int) -> tuple[str, ...]:
    unchanged = [_sessions_called(peer, shape, seed, sessions, 0.0) for shape in _UNCHANGED]
    changed = [
        _sessions_called(peer, shape, seed, sessions, slowdown) for slowdown, shape in _CHANGED
    ]
    return (str(peer.launches), *(_share(count, sessions) for count in (*unchanged, *changed)))


def _sessions_called(peer: Peer, shape: str, seed: int, sessions: int, slowdown: float) -> int:
    """Return the sessions that call the changed metric or, where nothing changed, any metric."""
    called = 0
    for number in range(sessions):
        drawn = SHAPES[shape](np.random.default_rng(seed + number), 2 * peer.launches)
        base, head = peer.arms(drawn[:, : -len(CONTROLS)])
        head[:, CHANGED] += math.log1p(slowdown)
        calls = peer.rule(base, head)
        called += bool(calls[CHANGED] if slowdown else calls.any())
    return called


def _share(count: int, sessions: int) -> str:
    return f"{count / sessions:.1%}"
