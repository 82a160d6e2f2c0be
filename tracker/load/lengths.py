"""How long a prompt or an output is: a fixed count, or a draw from a production table."""

from __future__ import annotations

import random
from dataclasses import dataclass

from tracker.errors import did_you_mean
from tracker.load.errors import ScenarioError
from tracker.load.tables import TABLES

__all__ = ["Between", "Fixed", "Lengths", "Production", "draw"]


@dataclass(frozen=True, slots=True)
class Fixed:
    """The same count for every request.

    Args:
        tokens: >= 1.
    """

    tokens: int

    def __post_init__(self) -> None:
        if self.tokens < 1:
            raise ScenarioError(f"Fixed length {self.tokens}: give at least 1 token")

    def at(self, level: float) -> int:
        """Return the count, whatever the level."""
        return self.tokens


@dataclass(frozen=True, slots=True)
class Production:
    """A quantile table shrunk to a model's size.

    Args:
        table: A key of ``tables.TABLES``.
        scale: Factor on every count: 1 for a full-size model, 1/16 for a small one.
        least: Counts below are raised to it, after scaling.
        most: Counts above are cut to it, after scaling.
    """

    table: str
    scale: float = 1.0
    least: int = 1
    most: int = 1_000_000

    def __post_init__(self) -> None:
        if self.table not in TABLES:
            raise ScenarioError(
                f"no length table {self.table!r}; {did_you_mean(self.table, TABLES)}"
            )
        if not self.scale > 0:
            raise ScenarioError(f"scale is {self.scale!r}; give a number above 0")
        if not 1 <= self.least <= self.most:
            raise ScenarioError(f"least {self.least} and most {self.most}: give 1 <= least <= most")

    def at(self, level: float) -> int:
        """Return the scaled, clipped count at ``level`` in [0, 1]."""
        return min(max(round(TABLES[self.table].at(level) * self.scale), self.least), self.most)


@dataclass(frozen=True, slots=True)
class Between:
    """Counts spread evenly over a range.

    Args:
        least, most: Tokens, 1 <= least <= most.
    """

    least: int
    most: int

    def __post_init__(self) -> None:
        if not 1 <= self.least <= self.most:
            raise ScenarioError(f"least {self.least} and most {self.most}: give 1 <= least <= most")

    def at(self, level: float) -> int:
        """Return the count at ``level`` in [0, 1]."""
        return round(self.least + level * (self.most - self.least))


Lengths = Fixed | Between | Production


def draw(lengths: Lengths, count: int, rng: random.Random) -> list[int]:
    """Return ``count`` lengths in random order, one from each of ``count`` equal strata.

    Stratified, so that two dozen requests already have the shape of the whole distribution; a
    plain draw of that size would be mostly a draw of its tail.
    """
    levels = [(i + rng.random()) / count for i in range(count)]
    rng.shuffle(levels)
    return [lengths.at(level) for level in levels]
