"""What one look of the gate decides about noisy metrics: regression, improvement or pass."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tracker.stats.contrasts import DRIFT, Contrasts
from tracker.stats.covariate import Estimate
from tracker.stats.evidence import Evidence, evidence, flips_as_good
from tracker.stats.looks import called_flips, miss_levels, missed_flips
from tracker.stats.verdict import Status

__all__ = ["Decision", "LookRules"]

Floats = NDArray[np.float64]
Decision = tuple[Status, str]  # and the reason


class LookRules:
    """The rules of all looks.

    Args:
        margin: Slowdown that does not matter, a logarithm, by metric; its order is that of columns.
        detect: Slowdown that a pass excludes, likewise.
        alpha: Bound on the probability of any false regression.
        looks: Numbers of pairs at which the gate decides, ascending.
        seed: Of the random flips.
    """

    def __init__(
        self,
        margin: Mapping[str, float],
        detect: Mapping[str, float],
        alpha: float,
        looks: Sequence[int],
        seed: int,
    ) -> None:
        self._columns = {name: column for column, name in enumerate(margin)}
        self._margin = margin
        self._detect = detect
        self._looks = looks
        self._seed = seed
        self._room = np.array([detect[name] - margin[name] for name in margin])
        self._allowed = called_flips(alpha, looks)
        self._miss = miss_levels(looks)
        self._missed = missed_flips(looks)
        self._improved = alpha / (len(looks) * max(len(margin), 1))

    def decide(
        self, contrasts: Contrasts, undecided: Sequence[str]
    ) -> tuple[dict[str, Decision], Evidence]:
        """Return what the pairs so far decide of these metrics, and the evidence for the rest.

        The evidence is without the slowdowns that are called: they raise the largest sum of every
        flip, and would hide what else the look could call.
        """
        look = self._evidence(contrasts.beyond)
        excluded = self._excluded(contrasts, undecided)
        decisions = {}
        for name in undecided:
            decision = self._decision(name, contrasts, look, excluded=name in excluded)
            if decision is not None:
                decisions[name] = decision
        called = [self._columns[name] for name, (s, _) in decisions.items() if s == "regression"]
        if called:
            beyond = contrasts.beyond.copy()
            beyond[:, called] -= np.nanmean(beyond[:, called], axis=0)
            look = self._evidence(beyond)
        return decisions, look

    def _evidence(self, beyond: Floats) -> Evidence:
        return evidence(beyond, self._room, self._allowed[len(beyond)], self._seed)

    def _decision(
        self, name: str, contrasts: Contrasts, look: Evidence, *, excluded: bool
    ) -> Decision | None:
        column = self._columns[name]
        control = contrasts.control[column]
        at = f"at {len(contrasts.beyond)} pairs"
        corrected = f", after removing {_noise_of(control)}" if control else ""
        if look.calls(column):
            flips = len(look.highest)
            return "regression", (
                f"family-wise p = {look.as_good(column) / flips:.2g} {at} "
                f"(level {look.allowed / flips:.2g}){corrected}"
            )
        if not len(contrasts.values(column)):
            return None
        mean = contrasts.estimate(column)
        if mean.upper(self._improved) < -self._margin[name]:
            margin = math.expm1(self._margin[name])
            return "improvement", f"better by more than the margin of {margin:.1%} {at}{corrected}"
        if excluded or self._early_pass(name, contrasts, mean):
            detect = math.expm1(self._detect[name])
            return "pass", f"a slowdown of {detect:.1%} is excluded {at}{corrected}"
        return None

    def _early_pass(self, name: str, contrasts: Contrasts, mean: Estimate) -> bool:
        """Whether Student's interval of a first look excludes a slowdown of `detect`."""
        miss = self._miss.get(len(contrasts.beyond))
        enough = len(contrasts.values(self._columns[name])) >= self._looks[0]
        return enough and miss is not None and mean.upper(miss) < self._detect[name]

    def _excluded(self, contrasts: Contrasts, names: Sequence[str]) -> frozenset[str]:
        """Return the metrics of which sign flips exclude a slowdown of `detect`."""
        allowed = self._missed[len(contrasts.short)]
        if not allowed:
            return frozenset()
        columns = [self._columns[name] for name in names]
        counts = flips_as_good(contrasts.short[:, columns], self._room[columns], self._seed)
        return frozenset(n for n, count in zip(names, counts, strict=True) if count <= allowed)


def _noise_of(control: str) -> str:
    return "a steady drift" if control == DRIFT else f"machine noise (control: {control})"
