"""The paired gate: interleaved pairs of launches, looked at until every metric is decided."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from tracker.stats.covariate import Estimate
from tracker.stats.exact import ExactMetric
from tracker.stats.looks import (
    called_flips,
    can_call,
    fewest_pairs,
    look_schedule,
    miss_levels,
    missed_flips,
)
from tracker.stats.ratios import Arms, LogRatios, Ratios
from tracker.stats.robust import center, interval, spread
from tracker.stats.signflip import family_maxima, flip_sums, scores
from tracker.stats.verdict import Better, Status, Verdict

__all__ = ["ALGORITHM", "PairedGate"]

ALGORITHM = "signflip-control-3"

Floats = NDArray[np.float64]

_NOTHING = Verdict("inconclusive", None, None, None, 0, "no pairs measured", None)
# Sums of scores that differ by less are equal: rounding must not make one arrangement win.
_TIE = 1e-9
_BEYOND = 0.005  # chance on each side of the interval of a verdict
_LARGEST_LOG = math.log(sys.float_info.max)
_MDE_POWER = 0.95
# Slowdowns beyond the margin that are tried for the minimum detectable effect, in units of what the
# gate is to detect beyond it.
_MDE_STEPS = np.geomspace(1 / 32, 256, 64)


class _Look(NamedTuple):
    """The evidence at one look: flips allowed to do as well, and each flip's best metric."""

    pairs: int
    allowed: int
    ratios: Floats  # [pairs, metrics], less what controls explain
    sums: Floats  # [metrics], of the observed arrangement
    highest: Floats  # [flips], empty where none is allowed

    def flips_as_good(self, column: int) -> int:
        return int(np.count_nonzero(self.highest >= self.sums[column] - _TIE))

    def threshold(self) -> float:
        """Return the sum that a metric must exceed to be called."""
        return float(np.partition(self.highest, -self.allowed)[-self.allowed])


class PairedGate:
    """A sequential paired test of many metrics with a family-wise bound on false regressions.

    Each pair gives every metric a log ratio, signed so that positive is worse, less the margin and
    less what a control of the same launches explains (`covariate.explained`). At the scheduled
    looks (`looks`) the sum of each metric's scores (`signflip.scores`) is compared with the
    largest sum over all metrics under joint sign flips of whole pairs; the level is spread over
    the looks by a union bound, so that stopping at any of them keeps the guarantee.

    Args:
        metrics: Name to direction ("lower" or "higher" is better), at least one.
        alpha: Bound on the probability that any metric is called a regression when none is worse
            than its margin; in (0, 1).
        margin: Relevant slowdown, as a ratio (0.01 is 1 %); one number, or a mapping with every
            noisy metric's name.
        detect: Slowdown that a pass excludes, greater than the margin; likewise.
        max_pairs: No more pairs than this are asked for.
        exact: Exact metrics and their step: an absolute change beyond the step is real, and one
            pair decides. The names must be in `metrics`.
        seed: Seeds the random flips beyond 13 pairs, so that a verdict can be re-derived.

    Raises:
        ValueError: A name, direction, level, margin or size that makes no sense; the message
            names it.

    Assumptions:
        Base and head of a pair, with their controls, are exchangeable when nothing changed:
        launches interleaved in random order on one machine. No shape of noise is assumed for a
        regression, nor for a pass or an interval from 8 pairs on; a pass at the first looks, the
        interval of fewer pairs, and an improvement use Student's t.

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
        exact = dict(exact or {})
        if not metrics:
            raise ValueError("a gate needs at least one metric")
        for name, better in metrics.items():
            if better not in ("lower", "higher"):
                raise ValueError(
                    f"metric {name!r}: better must be 'lower' or 'higher', not {better!r}"
                )
        if unknown := sorted(set(exact) - set(metrics)):
            raise ValueError(f"exact names metrics the gate does not have: {unknown}")
        if not 0 < alpha < 1:
            raise ValueError(f"alpha must lie in (0, 1), not {alpha}")
        if max_pairs < 1:
            raise ValueError(f"max_pairs must be at least 1, not {max_pairs}")
        self._metrics = tuple(metrics)
        self._exact = {name: _exact_metric(name, metrics[name], exact[name]) for name in exact}
        self._noisy = [name for name in metrics if name not in exact]
        self._sign = {name: 1.0 if b == "lower" else -1.0 for name, b in metrics.items()}
        self._margin = _log_slowdown("margin", margin, self._noisy)
        self._detect = _log_slowdown("detect", detect, self._noisy)
        for name in self._noisy:
            if not 0 <= self._margin[name] < self._detect[name]:
                raise ValueError(
                    f"metric {name!r}: need 0 <= margin < detect, not margin "
                    f"{math.expm1(self._margin[name]):g} and detect "
                    f"{math.expm1(self._detect[name]):g}"
                )
        self.alpha = alpha
        self.max_pairs = max_pairs
        self.looks = look_schedule(max_pairs)
        self._allowed = called_flips(alpha, self.looks)
        self._miss = miss_levels(self.looks)
        self._missed = missed_flips(self.looks)
        self._seed = seed
        self._pairs = LogRatios(self._noisy, np.array([self._margin[name] for name in self._noisy]))
        self._decided: dict[str, tuple[Status, str]] = {}
        self._weighed: dict[str, _Look] = {}  # the last look at which a metric was undecided

    @property
    def pairs(self) -> int:
        """Pairs added so far."""
        return len(self._pairs)

    def pending(self) -> frozenset[str]:
        """Return the metrics that another pair could still decide."""
        if self.pairs >= self.max_pairs:
            return frozenset()
        undecided = {name for name in self._noisy if name not in self._decided}
        return frozenset(undecided | {name for name, e in self._exact.items() if e.pairs == 0})

    def next_look(self) -> int | None:
        """Return the number of pairs at which noisy metrics are weighed next, or None."""
        return next((n for n in self.looks if n > self.pairs), None)

    def add(
        self,
        pair: Mapping[str, Arms],
        controls: Mapping[str, Mapping[str, Arms]] | None = None,
    ) -> None:
        """Add one interleaved pair: name to ``(base, head)``.

        Args:
            pair: Every pending metric must be there; decided ones may be left out.
            controls: By metric, for those that have any: name to ``(base, head)`` of work that
                neither commit touches, measured in the same launches, more being slower.

        Raises:
            ValueError: An unknown or missing metric, a value that is not finite, or, for a noisy
                metric or a control, not positive (its log ratio does not exist). Nothing is added
                then.
        """
        controls = controls or {}
        if unknown := sorted(pair.keys() - self._sign.keys()):
            raise ValueError(f"unknown metrics {unknown}; the gate has {sorted(self._metrics)}")
        if unknown := sorted(controls.keys() - self._sign.keys()):
            raise ValueError(
                f"controls of unknown metrics {unknown}; the gate has {sorted(self._metrics)}"
            )
        if missing := sorted(self.pending() - pair.keys()):
            raise ValueError(f"the pair lacks the pending metrics {missing}")
        arms = {}
        for name, (base, head) in pair.items():
            for arm, value in (("base", base), ("head", head)):
                if not math.isfinite(value):
                    raise ValueError(f"metric {name!r}: {arm} value {value} is not finite")
                if name not in self._exact and value <= 0:
                    raise ValueError(
                        f"metric {name!r}: {arm} value {value} is not positive; declare it exact, "
                        "or leave it out of the gate"
                    )
            if name not in self._exact:
                sign = self._sign[name]
                arms[name] = (sign * math.log(base), sign * math.log(head))
        paces = {
            name: {control: _paces(name, control, *times) for control, times in of.items()}
            for name, of in controls.items()
        }
        for name in pair.keys() & self._exact.keys():
            self._exact[name].add(*map(float, pair[name]))
        self._pairs.add(arms, paces)
        if self.pairs in self.looks and not self._decided.keys() >= set(self._noisy):
            self._weigh()

    def log_ratios(self) -> dict[str, list[float]]:
        """Return the log ratios of each noisy metric so far, less what its control explains.

        Positive is worse; one for each pair that measured it.
        """
        if not self.pairs:
            return {name: [] for name in self._noisy}
        ratios = self._pairs.ratios()
        return {name: ratios.values(k).tolist() for k, name in enumerate(self._noisy)}

    def verdicts(self) -> dict[str, Verdict]:
        """Return a verdict for every metric, in the order they were declared."""
        noisy = {}
        if self._noisy and self.pairs:
            ratios = self._pairs.ratios()
            noisy = {name: self._verdict(ratios, k) for k, name in enumerate(self._noisy)}
        return {
            name: self._exact[name].verdict() if name in self._exact else noisy.get(name, _NOTHING)
            for name in self._metrics
        }

    def regressions(self) -> frozenset[str]:
        """Return the metrics called a regression so far; cheaper than all verdicts."""
        noisy = {name for name, (status, _) in self._decided.items() if status == "regression"}
        exact = {name for name, e in self._exact.items() if e.verdict().status == "regression"}
        return frozenset(noisy | exact)

    def _weigh(self) -> None:
        n = self.pairs
        ratios = self._pairs.ratios()
        look = self._look(ratios.tested)
        improved = self.alpha / (len(self.looks) * len(self._noisy))
        undecided = [name for name in self._noisy if name not in self._decided]
        for column, name in enumerate(self._noisy):
            if name in self._decided:
                continue
            control = ratios.control[column]
            less = f", less what its control {control!r} explains" if control else ""
            if look.allowed and (as_good := look.flips_as_good(column)) <= look.allowed:
                flips = len(look.highest)
                reason = (
                    f"family-wise p = {as_good / flips:.2g} at {n} pairs "
                    f"(level {look.allowed / flips:.2g}){less}"
                )
                self._decided[name] = ("regression", reason)
                continue
            found = ratios.estimate(column)
            if found.upper(improved) < -self._margin[name]:
                margin = math.expm1(self._margin[name])
                reason = f"better by more than the margin of {margin:.1%} at {n} pairs{less}"
                self._decided[name] = ("improvement", reason)
            elif self._excludes(name, ratios.judged[:, column], found):
                detect = math.expm1(self._detect[name])
                reason = f"a slowdown of {detect:.1%} is excluded at {n} pairs{less}"
                self._decided[name] = ("pass", reason)
        self._weighed |= dict.fromkeys(undecided, self._calm(look, undecided))

    def _calm(self, look: _Look, undecided: Sequence[str]) -> _Look:
        """Return the look without the slowdowns that it called, to tell what else it sees.

        They are in every flip, and would hide what an unchanged family's flips let through.
        """
        worse = self.regressions()
        called = [self._noisy.index(name) for name in undecided if name in worse]
        if not called:
            return look
        ratios = look.ratios.copy()
        ratios[:, called] -= ratios[:, called].mean(axis=0)
        return self._look(ratios)

    def _excludes(self, name: str, ratios: Floats, found: Estimate) -> bool:
        """Whether the pairs so far, ``[pairs]``, exclude a slowdown of `detect`."""
        detect, n = self._detect[name], len(ratios)
        if n in self._miss and found.upper(self._miss[n]) < detect:
            return True
        if not self._missed[n]:
            return False
        room = detect - self._margin[name]
        short = flip_sums(scores((detect - ratios)[:, None], np.array([room])), self._seed)[0]
        return int(np.count_nonzero(short >= short[0] - _TIE)) <= self._missed[n]

    def _look(self, ratios: Floats) -> _Look:
        """Return the evidence of such ratios; the flips only where they can matter."""
        allowed = self._allowed[self.pairs]
        margin = np.array([self._margin[name] for name in self._noisy])
        detect = np.array([self._detect[name] for name in self._noisy])
        table = scores(ratios - margin, detect - margin)
        highest = family_maxima(table, self._seed) if allowed else np.empty(0)
        return _Look(self.pairs, allowed, ratios, table.sum(axis=0), highest)

    def _mde(self, name: str) -> float | None:
        """Return the smallest slowdown that the metric's last look called with power 0.95."""
        look = self._weighed.get(name)
        if look is None or not look.allowed:
            return None
        ratios = look.ratios[:, self._noisy.index(name)]
        noise = ratios - ratios.mean()
        room = self._detect[name] - self._margin[name]
        beyond = room * _MDE_STEPS
        score = scores(noise[:, None] + beyond, np.full(len(beyond), room))
        unlucky = (
            float(special.ndtri(_MDE_POWER)) * math.sqrt(len(noise)) * score.std(axis=0, ddof=1)
        )
        excess = score.sum(axis=0) - unlucky - look.threshold()
        called = np.flatnonzero(excess > _TIE)
        if not len(called):
            return None
        last = max(int(called[0]), 1)
        between = np.interp(0.0, excess[last - 1 : last + 1], beyond[last - 1 : last + 1])
        return _ratio(self._margin[name] + float(between))

    def _verdict(self, ratios: Ratios, column: int) -> Verdict:
        """Return the verdict of a noisy metric, given all pairs so far."""
        values = ratios.values(column)
        if not len(values):
            return _NOTHING
        name = self._noisy[column]
        n, sign = len(values), self._sign[name]
        low = high = None
        if n >= 2:
            ends = interval(values, _BEYOND) or ratios.estimate(column).interval(_BEYOND)
            low, high = sorted(_ratio(sign * end) for end in ends)
        status: Status
        if name in self._decided:
            status, reason = self._decided[name]
        else:
            status, reason = "inconclusive", self._why_undecided(name, values)
        return Verdict(status, _ratio(sign * center(values)), low, high, n, reason, self._mde(name))

    def _why_undecided(self, name: str, values: Floats) -> str:
        n = len(values)
        if n < 2:
            return f"{n} pair; noise shows from 2 on"
        if n < self.looks[0]:
            return f"{n} pairs; the first look is at {self.looks[0]}"
        noise = spread(values)
        # No count that could not call a regression, were the metric worse, decides.
        able = fewest_pairs(self.alpha) or 0
        if not can_call(self.max_pairs, self.alpha):
            able = max(able, self.max_pairs + 1)
        room = self._detect[name] - self._margin[name]
        # Enough pairs to put both the critical value and the pass bound inside the room.
        needed = max(n + 1, able, math.ceil((6.0 * noise / room) ** 2))
        return f"pair noise of {noise:.1%} at {n} pairs; about {needed} pairs would decide"


def _ratio(logarithm: float) -> float:
    """Return the ratio less one; infinite where a float cannot hold it."""
    return math.expm1(logarithm) if logarithm < _LARGEST_LOG else math.inf


def _paces(metric: str, control: str, base: float, head: float) -> Arms:
    for arm, value in (("base", base), ("head", head)):
        if not (math.isfinite(value) and value > 0):
            raise ValueError(
                f"metric {metric!r}: {arm} value {value} of its control {control!r} is not a "
                "positive number"
            )
    return math.log(base), math.log(head)


def _exact_metric(name: str, better: Better, step: float) -> ExactMetric:
    try:
        return ExactMetric(better, step)
    except ValueError as error:
        raise ValueError(f"metric {name!r}: {error}") from None


def _log_slowdown(
    what: str, value: float | Mapping[str, float], names: list[str]
) -> dict[str, float]:
    """Return by name the logarithm of the ratio that `value` allows."""
    if not isinstance(value, Mapping):
        ratios = dict.fromkeys(names, float(value))
    elif missing := sorted(set(names) - set(value)):
        raise ValueError(f"{what} lacks the metrics {missing}")
    else:
        ratios = {name: float(value[name]) for name in names}
    for name, ratio in ratios.items():
        if not (math.isfinite(ratio) and ratio > -1):
            raise ValueError(f"metric {name!r}: {what} must be finite and above -1, not {ratio}")
    return {name: math.log1p(ratio) for name, ratio in ratios.items()}
