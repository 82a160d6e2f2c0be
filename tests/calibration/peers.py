"""What other tools would have said of the same launches: small reimplementations of their rules.

Each rule takes the launches of base and head in time, ``[launches, metrics]``, logarithms, and says
by metric whether head is called slower.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats as scipy_stats

from tests.calibration.noise import CONTROLS, SHAPES

Floats = NDArray[np.float64]
Calls = NDArray[np.bool_]


def asv_factor(base: Floats, head: Floats) -> Calls:
    """`asv continuous`: medians differ by the factor 1.05, and Mann-Whitney's p is below 0.002."""
    p = scipy_stats.mannwhitneyu(base, head, axis=0).pvalue
    worse = np.median(head, axis=0) - np.median(base, axis=0) > math.log(1.05)
    return np.asarray(worse & (p < 0.002))


def benchstat(base: Floats, head: Floats) -> Calls:
    """benchstat's default: Mann-Whitney at 5 %, and the median slower."""
    p = scipy_stats.mannwhitneyu(base, head, axis=0).pvalue
    return np.asarray((p < 0.05) & (np.median(head, axis=0) > np.median(base, axis=0)))


def threshold(base: Floats, head: Floats) -> Calls:
    """One run of each, 5 % slower."""
    return np.asarray(head.mean(axis=0) - base.mean(axis=0) > math.log(1.05))


def welch(base: Floats, head: Floats) -> Calls:
    """Welch's t-test at 5 %, and the mean slower."""
    test = scipy_stats.ttest_ind(head, base, axis=0, equal_var=False)
    return np.asarray((test.pvalue < 0.05) & (test.statistic > 0))


@dataclass(frozen=True, slots=True)
class Peer:
    """A rule, how many launches of each commit it wants, and in which order."""

    rule: Callable[[Floats, Floats], Calls]
    launches: int
    interleaved: bool

    def arms(self, time: Floats) -> tuple[Floats, Floats]:
        """Return the launches of base and head, ``[launches, metrics]``, of launches in time."""
        if self.interleaved:
            return time[0::2].copy(), time[1::2].copy()
        return time[: self.launches].copy(), time[self.launches :].copy()


PEERS: dict[str, Peer] = {
    "asv, factor 1.05, one after the other": Peer(asv_factor, 10, False),
    "asv, factor 1.05, interleaved": Peer(asv_factor, 10, True),
    "benchstat, one after the other": Peer(benchstat, 10, False),
    "single run, 5 % threshold": Peer(threshold, 1, False),
    "50 fixed launches, t-test at 5 %": Peer(welch, 50, False),
}


def call_rate(peer: Peer, shape: str, sessions: int, seed: int, slowdown: float) -> float:
    """Return the share of metrics called slower when all are slower by `slowdown`."""
    called = 0.0
    for number in range(sessions):
        drawn = SHAPES[shape](np.random.default_rng(seed + number), 2 * peer.launches)
        base, head = peer.arms(drawn[:, : -len(CONTROLS)])
        called += float(peer.rule(base, head + math.log1p(slowdown)).mean())
    return called / sessions
