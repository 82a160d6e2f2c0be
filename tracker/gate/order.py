"""Which commit of a pair is launched first: a fair coin for each pair.

The coins make the gate's sign-flip test exact. Whatever the machine does during each launch (a
drift, a node whose every third launch is slow), both orders of a pair are equally likely and
independent of all other pairs. Balanced blocks (ABBA) cancel a steady drift but couple the pairs of
a block; the gate removes a drift by other means (`tracker.stats.covariate`).
"""

from __future__ import annotations

import random

from tracker.domain import Arm

__all__ = ["PairOrder"]


class PairOrder:
    """An endless iterator over the order of launches of each pair.

    Args:
        seed: The same seed gives the same orders.
    """

    def __init__(self, seed: int) -> None:
        self._coin = random.Random(seed)

    def __next__(self) -> tuple[Arm, Arm]:
        return ("base", "head") if self._coin.random() < 0.5 else ("head", "base")
