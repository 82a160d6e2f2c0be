"""The paired gate: interleaved pairs of launches, looked at until every metric is decided."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats as scipy_stats

from tracker.stats.signflip import flip_signs, self_normalized, smallest_p

__all__ = ["ALGORITHM", "PairedGate", "Verdict", "can_call", "fewest_pairs"]

ALGORITHM = "signflip-maxt-1"

Better = Literal["lower", "higher"]
Status = Literal["pass", "regression", "improvement", "inconclusive"]

# After how many pairs the evidence is weighed, and how the error budgets are spent over the looks.
# Early looks can only pass (six pairs cannot reach a p-value of 1/100); from 8 pairs on a
# regression can be called, so the first such look gets just what 2**-8 needs.
_LOOKS = (6, 8, 10, 12, 15, 19, 24, 30, 38, 50, 65, 85, 110, 140, 180, 230, 300)
_FIRST_SHARE = 0.4
_MISS = 0.02  # chance of passing a metric that is worse by `detect`, over all looks
_MDE_POWER = 0.95


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the pairs say of one metric.

    Attributes:
        status: "pass", "regression", "improvement", or "inconclusive" when neither is shown.
        effect: head/base - 1, signed as measured (geometric mean over pairs); None where a zero
            makes a ratio meaningless.
        low: Lower end of the two-sided 99 % interval of `effect`; None below two pairs.
        high: Upper end.
        pairs: Pairs that carried a value of this metric.
        reason: One sentence: why it is undecided, or what decided it.
        mde: Smallest slowdown that this many pairs would have called with probability 0.95 at the
            noise seen; None where the pairs could not have called any.
    """

    status: Status
    effect: float | None
    low: float | None
    high: float | None
    pairs: int
    reason: str
    mde: float | None


@dataclass(slots=True)
class _Exact:
    """An exact metric: no noise, so the first pair decides and later ones may only agree."""

    pairs: int = 0
    base: float | None = None
    head: float | None = None
    steady: bool = True

    def add(self, base: float, head: float) -> None:
        if self.pairs and (base != self.base or head != self.head):
            self.steady = False
        if not self.pairs:
            self.base, self.head = base, head
        self.pairs += 1


class PairedGate:
    """A sequential paired test of many metrics with a family-wise bound on false regressions.

    Each pair gives every metric a log ratio, signed so that positive is worse, less the margin.
    At the scheduled looks (`looks`) the self-normalised sum of each metric is compared with the
    maximum over all metrics under joint sign flips of whole pairs; the level is spread over the
    looks by a union bound, so that stopping at any of them keeps the guarantee.

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
        seed: Seeds the random flips beyond 12 pairs, so that a verdict can be re-derived.

    Raises:
        ValueError: A name, direction, level, margin or size that makes no sense; the message
            names it.

    Assumptions:
        Base and head of a pair are exchangeable when nothing changed: launches interleaved in
        random order on one machine. No shape of noise is assumed for the false-regression bound;
        `pass`, `improvement` and the intervals use
        Student's t.

    Small samples:
        Below 6 pairs every noisy metric is pending; at 6 it can pass, from 8 on (alpha 0.01) it can
        be called a regression.

    Source:
        Westfall & Young 1993 (max-T under resampling); Pocock 1977 (group-sequential looks).
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
        for name, step in exact.items():
            if not (math.isfinite(step) and step >= 0):
                raise ValueError(f"metric {name!r}: step must be finite and >= 0, not {step}")
        if not 0 < alpha < 1:
            raise ValueError(f"alpha must lie in (0, 1), not {alpha}")
        if max_pairs < 1:
            raise ValueError(f"max_pairs must be at least 1, not {max_pairs}")
        self._better = dict(metrics)
        self._sign = {name: 1.0 if b == "lower" else -1.0 for name, b in metrics.items()}
        self._exact = {name: _Exact() for name in metrics if name in exact}
        self._step = exact
        self._noisy = [name for name in metrics if name not in exact]
        self._margin = _per_metric("margin", margin, self._noisy)
        self._detect = _per_metric("detect", detect, self._noisy)
        for name in self._noisy:
            if not 0 <= self._margin[name] < self._detect[name]:
                raise ValueError(
                    f"metric {name!r}: need 0 <= margin < detect, not margin "
                    f"{self._margin[name]} and detect {self._detect[name]}"
                )
        self.alpha = alpha
        self.max_pairs = max_pairs
        self.looks = (*(n for n in _LOOKS if n < max_pairs), max_pairs)
        self._level = _spend(alpha, self.looks)
        self._miss = {n: _MISS / len(self.looks) for n in self.looks}
        self._seed = seed
        self._ratios: list[dict[str, float]] = []  # per pair, log ratio, positive is worse
        self._decided: dict[str, tuple[Status, str]] = {}

    @property
    def pairs(self) -> int:
        """Pairs added so far."""
        return len(self._ratios)

    def pending(self) -> frozenset[str]:
        """Return the metrics that another pair could still decide."""
        if self.pairs >= self.max_pairs:
            return frozenset()
        undecided = {name for name in self._noisy if name not in self._decided}
        return frozenset(undecided | {name for name, e in self._exact.items() if e.pairs == 0})

    def next_look(self) -> int | None:
        """Return the number of pairs at which noisy metrics are weighed next, or None."""
        return next((n for n in self.looks if n > self.pairs), None)

    def add(self, pair: Mapping[str, tuple[float, float]]) -> None:
        """Add one interleaved pair: name to ``(base, head)``.

        Every pending metric must be there; decided ones may be left out.

        Raises:
            ValueError: An unknown or missing metric, a value that is not finite, or, for a noisy
                metric, not positive (its log ratio does not exist). Nothing is added then.
        """
        if unknown := sorted(set(pair) - set(self._better)):
            raise ValueError(f"unknown metrics {unknown}; the gate has {sorted(self._better)}")
        if missing := sorted(self.pending() - set(pair)):
            raise ValueError(f"the pair lacks the pending metrics {missing}")
        ratios = {}
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
                ratios[name] = self._sign[name] * (math.log(head) - math.log(base))
        for name in pair.keys() & self._exact.keys():
            self._exact[name].add(*map(float, pair[name]))
        self._ratios.append(ratios)
        if self.pairs in self.looks:
            self._look()

    def verdicts(self) -> dict[str, Verdict]:
        """Return a verdict for every metric, in the order they were declared."""
        critical = self._critical()
        return {
            name: self._exact_verdict(name)
            if name in self._exact
            else self._noisy_verdict(name, critical)
            for name in self._better
        }

    def _differences(self) -> np.ndarray:
        """Return log ratios beyond the margin, ``[pairs, noisy metrics]``; 0 where missing."""
        table = np.zeros((self.pairs, len(self._noisy)))
        for row, ratios in enumerate(self._ratios):
            for column, name in enumerate(self._noisy):
                if name in ratios:
                    table[row, column] = ratios[name] - math.log1p(self._margin[name])
        return table

    def _look(self) -> None:
        if not self._noisy or self._noisy_decided():
            return
        n = self.pairs
        level = self._level[n]
        gain_level = self.alpha / (len(self.looks) * len(self._noisy))
        signs = flip_signs(n, np.random.default_rng([self._seed, n]))
        flipped = self_normalized(self._differences(), signs)
        highest = flipped.max(axis=1)
        # A hair of slack, so that rounding never makes the observed arrangement beat its equals.
        p_values = np.mean(highest[:, None] >= flipped[0] - 1e-12, axis=0)
        for column, name in enumerate(self._noisy):
            if name in self._decided:
                continue
            p = float(p_values[column])
            if p <= level:
                reason = f"family-wise p = {p:.2g} at {n} pairs (level {level:.2g})"
                self._decided[name] = ("regression", reason)
            elif self._upper_bound(name, gain_level) < -math.log1p(self._margin[name]):
                reason = f"better by more than the margin of {self._margin[name]:.1%} at {n} pairs"
                self._decided[name] = ("improvement", reason)
            elif self._upper_bound(name, self._miss[n]) < math.log1p(self._detect[name]):
                reason = f"a slowdown of {self._detect[name]:.1%} is excluded at {n} pairs"
                self._decided[name] = ("pass", reason)

    def _noisy_decided(self) -> bool:
        return all(name in self._decided for name in self._noisy)

    def _values(self, name: str) -> np.ndarray:
        return np.array([ratios[name] for ratios in self._ratios if name in ratios])

    def _upper_bound(self, name: str, miss: float) -> float:
        values = self._values(name)
        n = len(values)
        if n < 2:
            return math.inf
        error = values.std(ddof=1) / math.sqrt(n)
        return float(values.mean() + scipy_stats.t.isf(miss, n - 1) * error)

    def _critical(self) -> float | None:
        """Return the mean over its standard error that would be called now, or None."""
        looked = [n for n in self.looks if n <= self.pairs and smallest_p(n) <= self._level[n]]
        if not looked or not self._noisy:
            return None
        n = looked[-1]
        signs = flip_signs(n, np.random.default_rng([self._seed, n]))
        highest = self_normalized(self._differences()[:n], signs).max(axis=1)
        threshold = float(np.quantile(highest, 1 - self._level[n], method="higher"))
        # T = sum/sqrt(sum of squares) is a monotone function of Student's t.
        return threshold * math.sqrt((n - 1) / max(n - threshold**2, 1e-9))

    def _mde(self, name: str, critical: float | None) -> float | None:
        values = self._values(name)
        if critical is None or len(values) < 2:
            return None
        error = values.std(ddof=1) / math.sqrt(len(values))
        reach = critical + scipy_stats.norm.ppf(_MDE_POWER)
        return float(math.expm1(math.log1p(self._margin[name]) + reach * error))

    def _noisy_verdict(self, name: str, critical: float | None) -> Verdict:
        values = self._values(name)
        n = len(values)
        sign = self._sign[name]
        if n == 0:
            return Verdict("inconclusive", None, None, None, 0, "no pairs measured", None)
        mean = float(values.mean())
        low = high = None
        if n >= 2:
            half = float(scipy_stats.t.isf(0.005, n - 1) * values.std(ddof=1) / math.sqrt(n))
            low, high = sorted((math.expm1(sign * (mean - half)), math.expm1(sign * (mean + half))))
        status: Status
        if name in self._decided:
            status, reason = self._decided[name]
        else:
            status, reason = "inconclusive", self._why_undecided(name)
        return Verdict(
            status, math.expm1(sign * mean), low, high, n, reason, self._mde(name, critical)
        )

    def _why_undecided(self, name: str) -> str:
        values = self._values(name)
        n = len(values)
        if n < 2:
            return f"{n} pair; noise shows from 2 on"
        if n < self.looks[0]:
            return f"{n} pairs; the first look is at {self.looks[0]}"
        spread = float(values.std(ddof=1))
        # No count that could not call a regression, were the metric worse, decides.
        able = fewest_pairs(self.alpha) or 0
        if not can_call(self.max_pairs, self.alpha):
            able = max(able, self.max_pairs + 1)
        room = math.log1p(self._detect[name]) - math.log1p(self._margin[name])
        # Enough pairs to put both the critical value and the pass bound inside the room.
        needed = max(n + 1, able, math.ceil((6.0 * spread / room) ** 2))
        return f"pair noise of {spread:.1%} at {n} pairs; about {needed} pairs would decide"

    def _exact_verdict(self, name: str) -> Verdict:
        seen = self._exact[name]
        if seen.base is None or seen.head is None:
            return Verdict("inconclusive", None, None, None, 0, "no pairs measured", None)
        effect = seen.head / seen.base - 1 if seen.base != 0 else None
        if seen.base == seen.head:
            effect = 0.0
        if not seen.steady:
            return Verdict(
                "inconclusive",
                effect,
                None,
                None,
                seen.pairs,
                "declared exact, yet it differs between launches of one commit",
                None,
            )
        worse = self._sign[name] * (seen.head - seen.base)
        status: Status = "pass"
        if abs(worse) > self._step[name]:
            status = "regression" if worse > 0 else "improvement"
        reason = f"exact: {seen.base:g} -> {seen.head:g}"
        mde = self._step[name] / abs(seen.base) if seen.base else None
        return Verdict(status, effect, effect, effect, seen.pairs, reason, mde)


def fewest_pairs(alpha: float) -> int | None:
    """Return the first scheduled look at which a regression can be called; None: at none."""
    return next((n for n in _LOOKS if smallest_p(n) <= alpha * _FIRST_SHARE), None)


def can_call(pairs: int, alpha: float) -> bool:
    """Whether a gate of at most so many pairs can call a regression of a noisy metric at all."""
    return smallest_p(pairs) <= alpha


def _per_metric(
    what: str, value: float | Mapping[str, float], names: list[str]
) -> dict[str, float]:
    if not isinstance(value, Mapping):
        values = dict.fromkeys(names, float(value))
    elif missing := sorted(set(names) - set(value)):
        raise ValueError(f"{what} lacks the metrics {missing}")
    else:
        values = {name: float(value[name]) for name in names}
    for name, number in values.items():
        if not math.isfinite(number):
            raise ValueError(f"metric {name!r}: {what} must be finite, not {number}")
    return values


def _spend(alpha: float, looks: tuple[int, ...]) -> dict[int, float]:
    """Spread `alpha` over the looks that can reach it; the sum is at most `alpha`."""
    able = [n for n in looks if smallest_p(n) <= alpha * _FIRST_SHARE] or [looks[-1]]
    level = dict.fromkeys(looks, 0.0)
    level[able[0]] = alpha if len(able) == 1 else alpha * _FIRST_SHARE
    for n in able[1:]:
        level[n] = alpha * (1 - _FIRST_SHARE) / (len(able) - 1)
    return level
