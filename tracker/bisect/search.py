"""The search for the first bad commit of one metric, fed from the store."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, median

import numpy as np

from tracker.bisect.pairs import StoredPair, StoredPairs
from tracker.bisect.result import Bisected, CommitSeen
from tracker.domain import VerdictInfo
from tracker.gate.policy import Policy
from tracker.stats.bisection import Bisection, Group, exact_step, noisy_step
from tracker.stats.contrasts import PairValues

__all__ = ["Search"]


class Search:
    """Keeps the probabilities of the commits up to date with the pairs in the store.

    Args:
        result: Brought up to date by `describe` and `conclude`.
        stored: Where the pairs are.
        target: The regression of good against bad.
    """

    def __init__(self, result: Bisected, stored: StoredPairs, target: VerdictInfo) -> None:
        self._result = result
        self._stored = stored
        self._skipped: dict[int, str] = {}  # why, by commit number
        last = len(result.commits)
        series = stored.series(result.bad, target.metric)
        self.benchmark = series.benchmark
        self._lower_is_better = target.better != "higher"
        self._exact = target.kind == "exact"
        self._bisection = Bisection(last, exact_step(series.step) if self._exact else noisy_step)
        self._pairs: dict[int, list[StoredPair]] = {}
        for number in range(1, last + 1):
            self._load(number)
            head = result.commits[number - 1]
            if number < last and not self._pairs[number] and stored.failed(head):
                self.skip(number, "could not be measured earlier; --fresh tries again")
        self._observe()

    def shows_regression(self) -> bool:
        """Whether the pairs of the bad commit, of all gates that count, lie on the worse side."""
        return self._exact or median(self._bisection.observed[len(self._result.commits)]) > 0

    def next(self) -> int | None:
        """Return the number of the commit to measure next; None where none would be informative."""
        return self._bisection.next()

    def measured(self, number: int) -> None:
        """Load what the store has of a commit by now."""
        self._load(number)
        self._observe()

    def skip(self, number: int, reason: str) -> None:
        self._bisection.skip(number)
        self._skipped[number] = reason

    def best_probability(self) -> float:
        """Return the probability of the likeliest commit or group."""
        return max(group.probability for group in self._groups())

    def describe(self) -> None:
        """Bring what the result says of each commit up to date."""
        try:
            posterior = self._bisection.posterior().tolist()
        except ValueError:
            posterior = [math.nan] * len(self._result.commits)
        self._result.seen = [
            CommitSeen(
                commit=commit,
                probability=posterior[number - 1],
                pairs=len(self._bisection.observed.get(number, ())),
                effect=self._effect(number),
                skipped=self._skipped.get(number),
            )
            for number, commit in enumerate(self._result.commits, start=1)
        ]

    def conclude(self, policy: Policy) -> None:
        """Fill in outcome and culprits."""
        result = self._result
        self.describe()
        try:
            groups = self._bisection.groups()
        except ValueError:
            result.outcome, result.note = "several", "the exact values go back and forth"
            return
        best = max(groups, key=lambda group: group.probability)
        result.probability = best.probability
        result.culprits = tuple(result.commits[number - 1] for number in best.numbers)
        if not self._exact:
            result.misfit = self._bisection.misfit(math.log1p(policy.margin))
        if result.misfit is not None:
            result.outcome = "several"
        elif best.probability >= result.confidence:
            result.outcome = "named" if len(best.numbers) == 1 else "group"

    def _groups(self) -> list[Group]:
        """Return the candidates; one group of them all where no single step is possible."""
        try:
            return self._bisection.groups()
        except ValueError:
            return [Group(tuple(range(1, len(self._result.commits) + 1)), 1.0)]

    def _load(self, number: int) -> None:
        head = self._result.commits[number - 1]
        self._pairs[number] = self._stored.pairs(head, self._result.metric)

    def _observe(self) -> None:
        """Give all pairs to the bisection: a control's slope is fitted to all of them."""
        numbered = [(number, pair) for number, pairs in self._pairs.items() for pair in pairs]
        self._result.pairs = len(numbered)
        self._bisection.observed.clear()
        worse = self._worse([pair for _, pair in numbered])
        for (number, _), value in zip(numbered, worse, strict=True):
            self._bisection.observe(number, value)

    def _worse(self, pairs: Sequence[StoredPair]) -> list[float]:
        """Return by how much the head of each pair is worse: a difference if exact, else a contrast."""
        if self._exact:
            sign = 1 if self._lower_is_better else -1
            return [sign * (pair.head - pair.base) for pair in pairs]
        if not pairs:
            return []
        metric = self._result.metric
        values = PairValues({metric: self._lower_is_better}, np.zeros(1), np.zeros(1))
        for pair in pairs:
            values.add({metric: (pair.base, pair.head)}, {metric: pair.controls})
        worse: list[float] = values.contrasts().values(0).tolist()
        return worse

    def _effect(self, number: int) -> float | None:
        """Return the mean of head/base - 1 over a commit's pairs; None where there is none."""
        pairs = self._pairs[number]
        if (
            not self._exact
            and min(min(p.base, p.head) for ps in self._pairs.values() for p in ps) > 0
        ):
            sign = 1 if self._lower_is_better else -1
            worse = self._bisection.observed.get(number, ())
            return fmean(math.expm1(sign * value) for value in worse) if worse else None
        ratios = [pair.head / pair.base - 1 for pair in pairs if pair.base > 0]
        return fmean(ratios) if ratios else None
