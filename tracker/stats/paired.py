"""The paired gate: interleaved pairs of launches, judged until every metric is decided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tracker.stats.change import ratio_of
from tracker.stats.checks import check_directions, check_pair, exact_metrics, thresholds
from tracker.stats.contrasts import Arm, Arms, Contrasts, PairValues
from tracker.stats.decision import Decision, LookRules
from tracker.stats.effort import Effort
from tracker.stats.evidence import Evidence
from tracker.stats.looks import look_schedule
from tracker.stats.robust import center, interval, spread
from tracker.stats.verdict import Better, Status, Verdict

__all__ = ["ALGORITHM", "PairedGate"]

ALGORITHM = "signflip-control-4"

Floats = NDArray[np.float64]

_NOTHING = Verdict("inconclusive", None, None, None, 0, "no pairs measured", None)
_BEYOND = 0.005  # chance on each side of the interval of a verdict


class PairedGate:
    """A sequential paired test of many metrics with a family-wise bound on false regressions.

    Each pair gives every metric a contrast, positive where head is worse: a log ratio, or a
    difference over a scale where a value is zero or negative (`contrasts`). The margin is
    subtracted, and what a control or a steady drift explains (`covariate`). At the scheduled looks
    (`looks`) the sum of each metric's scores (`signflip`) is compared with the largest sum over all
    metrics under joint sign flips of whole pairs. The level is divided among the looks, so that
    stopping at any of them keeps the guarantee. A metric that the budget cannot decide is given up
    (`effort`).

    Args:
        metrics: Name to direction ("lower" or "higher" is better), at least one.
        alpha: Bound on the probability that any metric is called a regression when none is worse
            than its margin; in (0, 1).
        margin: Relevant slowdown, as a ratio (0.01 is 1 %); one number, or a mapping with every
            noisy metric's name.
        detect: Slowdown that a pass excludes, greater than the margin; likewise.
        max_pairs: Pairs that are measured at most.
        exact: Exact metrics and their step: an absolute change beyond the step is real, and one
            pair decides. The names must be in `metrics`.
        seed: Seeds the random flips beyond 13 pairs, so that a verdict can be re-derived.

    Raises:
        ValueError: A name, direction, level, margin or size that makes no sense; the message
            names it.

    Assumptions:
        The two launches of a pair run one after the other on one machine, in an order that a coin
        decides for each pair. Then no shape of noise and no independence of launches is assumed
        for a regression. A pass and an interval assume symmetric noise from 8 pairs on; a pass at
        the first looks, the interval of fewer pairs, and an improvement use Student's t.

    Small samples:
        Below 6 pairs every noisy metric is pending; at 6 it can pass, from 8 on (alpha 0.01) it can
        be called a regression.

    Source:
        Westfall & Young 1993 (max-T under resampling); Pocock 1977 (group-sequential looks).
        `docs/statistics.md` has the proof.
    """

    def __init__(
        self,
        metrics: Mapping[str, Better],
        *,
        alpha: float = 0.01,
        margin: float | Mapping[str, float] = 0.01,
        detect: float | Mapping[str, float] = 0.03,
        max_pairs: int = 50,
        exact: Mapping[str, float] | None = None,
        seed: int = 0,
    ) -> None:
        check_directions(metrics)
        self._exact = exact_metrics(metrics, exact or {})
        if not 0 < alpha < 1:
            raise ValueError(f"alpha must lie in (0, 1), not {alpha}")
        if max_pairs < 1:
            raise ValueError(f"max_pairs must be at least 1, not {max_pairs}")
        self._metrics = tuple(metrics)
        self._noisy = [name for name in metrics if name not in self._exact]
        self._margin, self._detect = thresholds(margin, detect, self._noisy)
        self.alpha = alpha
        self.max_pairs = max_pairs
        self.looks = look_schedule(max_pairs)
        self._rules = LookRules(self._margin, self._detect, alpha, self.looks, seed)
        self._effort = Effort(alpha, max_pairs)
        self._values = PairValues(
            {name: metrics[name] == "lower" for name in self._noisy},
            np.array([self._margin[name] for name in self._noisy]),
            np.array([self._detect[name] for name in self._noisy]),
        )
        self._has_value: dict[str, list[bool]] = {name: [] for name in metrics}  # by pair
        self._decided: dict[str, Decision] = {}
        self._given_up: dict[str, str] = {}  # why no more pairs are measured for a metric
        self._evidence: dict[str, Evidence] = {}  # of the last look before a metric was decided

    @property
    def pairs(self) -> int:
        """Pairs added so far."""
        return len(self._values)

    def pending(self) -> frozenset[str]:
        """Return the metrics for which another pair is worth measuring.

        Neither the decided ones, nor those which the gate's pairs cannot decide (from 12 pairs
        on), nor those that have had no value in six pairs. They are inconclusive unless the pairs
        measured for other metrics decide them.
        """
        if self.pairs >= self.max_pairs:
            return frozenset()
        noisy = set(self._noisy) - self._decided.keys()
        exact = {name for name, metric in self._exact.items() if metric.pairs == 0}
        return frozenset((noisy | exact) - self._given_up.keys())

    def given_up(self) -> frozenset[str]:
        """Return the undecided metrics that are not worth another pair, before pairs run out."""
        return frozenset(self._given_up.keys() - self._decided.keys())

    def add(
        self,
        pair: Mapping[str, Arms | None],
        controls: Mapping[str, Mapping[str, Arms]] | None = None,
        *,
        first: Arm | None = None,
    ) -> None:
        """Add one interleaved pair: name to ``(base, head)``, or None.

        Args:
            pair: Every pending metric must be there; decided ones may be left out. Any finite
                value is judged. None says that this pair has no value of the metric.
            controls: By metric, for those that have any: name to ``(base, head)`` of the times of
                work that neither commit touches, measured in the same launches.
            first: The arm that was launched first; None where it is not known. A steady drift is
                removed only where it is known.

        Raises:
            ValueError: An unknown or missing metric, a value that is not finite, or a control that
                is not positive. Nothing is added then.
        """
        controls = controls or {}
        check_pair(pair, controls, self._metrics, self.pending())
        for name, exact in self._exact.items():
            if (values := pair.get(name)) is not None:
                exact.add(*map(float, values))
                self._given_up.pop(name, None)
        noisy = {name: values for name, values in pair.items() if name not in self._exact}
        self._values.add(noisy, {name: of for name, of in controls.items() if name in noisy}, first)
        for name, has_value in self._has_value.items():
            has_value.append(pair.get(name) is not None)
        if self.pairs in self.looks and not self._decided.keys() >= set(self._noisy):
            self._judge()
        for name in self.pending():
            if reason := self._effort.absent(self._has_value[name]):
                self._given_up[name] = reason

    def log_ratios(self) -> dict[str, list[float]]:
        """Return how much worse head is in each pair that has a value, by noisy metric.

        A log ratio, positive is worse, after removing what a control explains; where a value is
        zero or negative, the difference over the metric's scale (`tracker.stats.contrasts`).
        """
        if not self.pairs:
            return {name: [] for name in self._noisy}
        contrasts = self._values.contrasts()
        return {name: contrasts.values(k).tolist() for k, name in enumerate(self._noisy)}

    def verdicts(self) -> dict[str, Verdict]:
        """Return a verdict for every metric, in the order they were declared."""
        noisy = {}
        if self._noisy and self.pairs:
            contrasts = self._values.contrasts()
            noisy = {name: self._verdict(contrasts, k) for k, name in enumerate(self._noisy)}
        exact = {name: metric.verdict() for name, metric in self._exact.items()}
        verdicts = {name: (noisy | exact).get(name, _NOTHING) for name in self._metrics}
        return {
            name: verdict if verdict.pairs else replace(verdict, reason=self._why_no_value(name))
            for name, verdict in verdicts.items()
        }

    def regressions(self) -> frozenset[str]:
        """Return the metrics called a regression so far; cheaper than all verdicts."""
        noisy = {name for name, (status, _) in self._decided.items() if status == "regression"}
        exact = {name for name, e in self._exact.items() if e.verdict().status == "regression"}
        return frozenset(noisy | exact)

    def _judge(self) -> None:
        """Decide what the pairs so far can decide, and give up what the budget cannot."""
        contrasts = self._values.contrasts()
        undecided = [name for name in self._noisy if name not in self._decided]
        decisions, evidence = self._rules.decide(contrasts, undecided)
        self._decided |= decisions
        self._evidence |= dict.fromkeys(undecided, evidence)
        for name in undecided:
            if name not in self._decided and self._has_value[name][-1]:
                self._reconsider(name, contrasts)

    def _reconsider(self, name: str, contrasts: Contrasts) -> None:
        """Give a metric up, or take it back where pairs measured for others show less noise."""
        column = self._noisy.index(name)
        worse, beyond = contrasts.worse[:, column], contrasts.beyond[:, column]
        needed = self._effort.hopeless(worse, beyond, self._room(name))
        if needed is None:
            self._given_up.pop(name, None)
        else:
            self._given_up[name] = f"{_noise_at(worse)}: about {needed} pairs would decide"

    def _room(self, name: str) -> float:
        return self._detect[name] - self._margin[name]

    def _mde(self, name: str) -> float | None:
        """Return the smallest slowdown that the metric's last look called with power 0.95."""
        look = self._evidence.get(name)
        beyond = look.minimum_detectable(self._noisy.index(name)) if look else None
        return None if beyond is None else ratio_of(self._margin[name] + beyond)

    def _verdict(self, contrasts: Contrasts, column: int) -> Verdict:
        """Return the verdict of a noisy metric, given all pairs so far."""
        values = contrasts.values(column)
        if not len(values):
            return _NOTHING
        name = self._noisy[column]
        ends = None
        if len(values) >= 2:
            ends = interval(values, _BEYOND) or contrasts.estimate(column).interval(_BEYOND)
        status: Status
        if name in self._decided:
            status, reason = self._decided[name]
        else:
            status, reason = "inconclusive", self._why_undecided(name, values)
        change = self._values.change(contrasts, column, center(values), ends)
        if change.difference is not None:
            reason += f"; head - base is {change.difference.value:.4g}, as a value is not positive"
        return Verdict(
            status=status,
            effect=change.effect,
            low=change.low,
            high=change.high,
            pairs=len(values),
            reason=reason,
            mde=self._mde(name),
            difference=change.difference,
        )

    def _why_no_value(self, name: str) -> str:
        if not self.pairs:
            return _NOTHING.reason
        return self._given_up.get(name) or f"no value in any of {self.pairs} pairs"

    def _why_undecided(self, name: str, values: Floats) -> str:
        if name in self._given_up:
            return self._given_up[name]
        n = len(values)
        if n < 2:
            return f"{n} pair; noise shows from 2 on"
        if n < self.looks[0]:
            return f"{n} pairs; the first look is at {self.looks[0]}"
        needed = self._effort.needed(values, self._room(name))
        return f"{_noise_at(values)}; about {max(n + 1, needed)} pairs would decide"


def _noise_at(worse: Floats) -> str:
    values = worse[~np.isnan(worse)]
    return f"pair noise of {spread(values):.1%} at {len(values)} pairs"
