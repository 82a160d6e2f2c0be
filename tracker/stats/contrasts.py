"""How much worse head is than base in each pair: log ratios, or differences over a shared scale.

A metric whose values are all positive is compared by ``ln(head / base)``. Where a value of either
arm is zero or negative that ratio does not exist, and the metric is compared by
``(head - base) / scale`` in all its pairs. The scale is the median size of its values other than
zero, both arms pooled. Neither the choice nor the scale changes when base and head of a pair are
swapped, so a sign-flip test of differences is as exact as one of ratios.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tracker.stats.change import Change, change_by_difference, change_by_ratio
from tracker.stats.covariate import Estimate, estimate, explained
from tracker.stats.robust import center as hodges_lehmann

__all__ = ["DRIFT", "Arm", "Arms", "Contrasts", "PairValues", "scales"]

Floats = NDArray[np.float64]
Arm = Literal["base", "head"]
Arms = tuple[float, float]  # base, head

DRIFT = "steady drift"  # the control that is the place of the launches in time
_MISSING = (math.nan, math.nan)
# A difference over a scale that is far smaller than it; the square of this is still a float.
_LARGEST = 1e100


class Contrasts(NamedTuple):
    """Contrasts of head with base, positive is worse, ``[pairs, metrics]``; NaN where missing.

    Attributes:
        beyond: By how much head is worse than the margin allows, after removing what a control
            explains. A sign-flip test may use it.
        worse: By how much head is worse than base, after removing what a control explains, unless
            that control itself differs between the arms. A mean may be taken of it.
        short: By how much head is better than a slowdown of `detect`, with the control as in `worse`.
        control: The control that `worse` is corrected by, by metric; None: by none.
        scale: What one unit of a contrast is in the unit of the metric, ``[metrics]``; NaN where
            contrasts are log ratios.
    """

    beyond: Floats
    worse: Floats
    short: Floats
    control: tuple[str | None, ...]
    scale: Floats

    def values(self, column: int) -> Floats:
        """Return `worse` of one metric, ``[pairs that have it]``."""
        return _present(self.worse[:, column])

    def estimate(self, column: int) -> Estimate:
        """Return the mean of `worse` of a metric that has a value in at least one pair."""
        return estimate(self.values(column), slopes=self.control[column] is not None)


class PairValues:
    """The values of all pairs so far.

    Args:
        better_is_lower: By metric, in the order of the columns.
        margin: Slowdown that does not matter, a logarithm, ``[metrics]``.
        detect: Slowdown that matters, a logarithm, ``[metrics]``.
    """

    def __init__(self, better_is_lower: Mapping[str, bool], margin: Floats, detect: Floats) -> None:
        self._metrics = tuple(better_is_lower)
        self._sign = np.array([1.0 if lower else -1.0 for lower in better_is_lower.values()])
        self._margin = margin
        self._detect = detect
        self._values: list[Floats] = []  # by pair, [metrics, 2]
        self._positions: list[Arms] = []  # by pair, of the launches in time
        self._controls: list[str] = []
        self._log_times: list[Floats] = []  # by pair, [metrics, controls known by then, 2]

    def __len__(self) -> int:
        return len(self._values)

    def add(
        self,
        values: Mapping[str, Arms | None],
        controls: Mapping[str, Mapping[str, Arms]],
        first: Arm | None = None,
    ) -> None:
        """Add a pair.

        Args:
            values: Base and head by metric; finite. None, or no entry: this pair has no value of it.
            controls: Times of the controls by metric and control; positive.
            first: The arm that was launched first; None: not known.
        """
        self._values.append(np.array([values.get(name) or _MISSING for name in self._metrics]))
        place = 2.0 * len(self._positions)
        places = {"base": (place, place + 1), "head": (place + 1, place)}
        self._positions.append(_MISSING if first is None else places[first])
        new = {control for times in controls.values() for control in times} - set(self._controls)
        self._controls += sorted(new)
        size = (len(self._metrics), len(self._controls), 2)
        times = [controls.get(name, {}) for name in self._metrics]
        rows = [[of.get(control, _MISSING) for control in self._controls] for of in times]
        self._log_times.append(np.log(np.array(rows, dtype=np.float64).reshape(size)))

    def contrasts(self) -> Contrasts:
        """Return the contrasts of all pairs so far; there must be one."""
        base, head = self._arms()
        by_ratio = ~np.any((base <= 0) | (head <= 0), axis=0)
        scale = scales(np.where(by_ratio, math.nan, [base, self._without(head, self._margin)]))

        def comparable(values: Floats, slowdown: Floats | float = 0.0) -> Floats:
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                shares = self._sign * self._without(values, slowdown) / scale
                logs = self._sign * np.log(values) - slowdown
            compared: Floats = np.where(by_ratio, logs, np.clip(shares, -_LARGEST, _LARGEST))
            return compared

        old, at_margin = comparable(base), comparable(head, self._margin)
        part, control, differs = explained(
            np.stack([old, at_margin]), self._log_controls(), np.transpose(self._positions)
        )
        trusted = np.where(differs, 0.0, part)
        return Contrasts(
            beyond=at_margin - old - part,
            worse=comparable(head) - old - trusted,
            short=old - comparable(head, self._detect) + trusted,
            control=tuple(
                [*self._controls, DRIFT][index] if index >= 0 and not untrusted else None
                for index, untrusted in zip(control, differs, strict=True)
            ),
            scale=np.where(by_ratio, math.nan, scale),
        )

    def change(
        self, contrasts: Contrasts, column: int, center: float, ends: tuple[float, float] | None
    ) -> Change:
        """Return what a centre of a metric's contrasts, and its interval, are of what was measured."""
        sign, scale = float(self._sign[column]), float(contrasts.scale[column])
        if math.isnan(scale):
            return change_by_ratio(sign * center, ends and (sign * ends[0], sign * ends[1]))
        base = hodges_lehmann(_present(self._arms()[0, :, column]))
        unit = sign * scale
        return change_by_difference(unit * center, ends and (unit * ends[0], unit * ends[1]), base)

    def _without(self, values: Floats, slowdown: Floats | float) -> Floats:
        """Return values as they would be without a slowdown that they have.

        A slowdown moves a value to the worse side by a share of its size, whatever its sign.
        """
        with np.errstate(over="ignore"):
            moved = values * np.exp(-self._sign * np.sign(values) * slowdown)
        finite: Floats = np.clip(moved, -sys.float_info.max, sys.float_info.max)
        return finite

    def _arms(self) -> Floats:
        """Return the values, ``[2, pairs, metrics]``."""
        return np.moveaxis(np.array(self._values).reshape(len(self), len(self._metrics), 2), -1, 0)

    def _log_controls(self) -> Floats:
        """Return the logarithms of the controls, ``[2, pairs, metrics, controls]``."""
        shape = (2, len(self), len(self._metrics), len(self._controls))
        logs = np.full(shape, math.nan)
        for pair, known in enumerate(self._log_times):
            logs[:, pair, :, : known.shape[1]] = np.moveaxis(known, -1, 0)
        return logs


def _present(column: Floats) -> Floats:
    return column[~np.isnan(column)]


def scales(values: Floats) -> Floats:
    """Return the median size of the values other than zero, ``[2, pairs, metrics]``, by metric.

    NaN is no value; 1 where there is none.
    """
    sizes = np.concatenate(list(np.where(values == 0, math.nan, np.abs(values))))
    scales = np.ones(sizes.shape[1])
    some = ~np.isnan(sizes).all(axis=0)
    if some.any():
        with np.errstate(over="ignore"):  # the mean of two middle values near the largest float
            medians = np.nanmedian(sizes[:, some], axis=0)
        scales[some] = np.minimum(medians, np.nanmax(sizes[:, some], axis=0))
    return scales
