"""Which commit of a pair is launched first."""

from __future__ import annotations

import random
from collections.abc import Iterator

from tracker.domain import Arm

__all__ = ["PairOrder"]


class PairOrder:
    """The order of launches: ABBA or BAAB, drawn anew every two pairs.

    Within two pairs each commit goes first once, so that a steady drift cancels; which begins is
    random, so that nothing periodic can hide in it.
    """

    def __init__(self, seed: int) -> None:
        self._draws = self._blocks(random.Random(seed))

    def __next__(self) -> tuple[Arm, Arm]:
        return next(self._draws)

    @staticmethod
    def _blocks(source: random.Random) -> Iterator[tuple[Arm, Arm]]:
        forward: tuple[Arm, Arm] = ("base", "head")
        backward: tuple[Arm, Arm] = ("head", "base")
        while True:
            first = source.random() < 0.5
            yield forward if first else backward
            yield backward if first else forward
