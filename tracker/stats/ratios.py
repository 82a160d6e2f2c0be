"""The log ratios of the pairs of a gate, raw and less what controls explain."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tracker.stats.covariate import Estimate, estimate, explained

__all__ = ["Arms", "LogRatios", "Ratios"]

Floats = NDArray[np.float64]
Arms = tuple[float, float]  # base, head

_MISSING = (math.nan, math.nan)


class Ratios(NamedTuple):
    """Log ratios, positive is worse, ``[pairs, metrics]``; NaN where a metric was not measured.

    Attributes:
        tested: Less what each metric's control explains: what a sign-flip test may weigh.
        judged: The same, but whole where the control itself differs between the arms: what a mean
            may be taken of.
        control: What each metric of `judged` is corrected by; None: by nothing.
    """

    tested: Floats
    judged: Floats
    control: tuple[str | None, ...]

    def values(self, column: int) -> Floats:
        """Return what was measured of a metric, to be judged, ``[pairs that have it]``."""
        all_pairs = self.judged[:, column]
        return all_pairs[~np.isnan(all_pairs)]

    def estimate(self, column: int) -> Estimate:
        """Return the mean of a metric that was measured at least once."""
        return estimate(self.values(column), slopes=self.control[column] is not None)


class LogRatios:
    """Remembers pairs, and takes the controls' part out of them.

    Args:
        metrics: Names, in the order of the columns.
        margin: Their margins, logarithms, ``[metrics]``.
    """

    def __init__(self, metrics: Sequence[str], margin: Floats) -> None:
        self._metrics = tuple(metrics)
        self._margin = margin
        self._controls: list[str] = []
        self._arms: list[Mapping[str, Arms]] = []
        self._paces: list[Mapping[str, Mapping[str, Arms]]] = []

    def __len__(self) -> int:
        return len(self._arms)

    def add(self, arms: Mapping[str, Arms], paces: Mapping[str, Mapping[str, Arms]]) -> None:
        """Add a pair.

        Args:
            arms: Logarithms of base and head by metric, signed so that more is worse.
            paces: Logarithms of the controls by metric and control, more is slower.
        """
        self._arms.append(arms)
        self._paces.append(paces)
        new = {control for of in paces.values() for control in of} - set(self._controls)
        self._controls += sorted(new)

    def ratios(self) -> Ratios:
        """Return the ratios of all pairs so far; there must be one."""
        size = (len(self._arms), len(self._metrics))
        arms = np.array(
            [[pair.get(name, _MISSING) for name in self._metrics] for pair in self._arms]
        ).reshape(*size, 2)
        paces = np.array(
            [
                [
                    [pair.get(name, {}).get(control, _MISSING) for control in self._controls]
                    for name in self._metrics
                ]
                for pair in self._paces
            ]
        ).reshape(*size, len(self._controls), 2)
        arms, paces = np.moveaxis(arms, -1, 0), np.moveaxis(paces, -1, 0)
        found = explained(arms, paces, self._margin)
        whole = arms[1] - arms[0]
        judged = np.where(found.leans, whole, whole - found.part)
        corrected = (found.control >= 0) & ~found.leans
        names = (
            self._controls[index] if used else None
            for index, used in zip(found.control, corrected, strict=True)
        )
        return Ratios(whole - found.part, judged, tuple(names))
