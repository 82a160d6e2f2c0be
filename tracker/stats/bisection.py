"""Which commit of a range brought a step, from noisy measurements against the last good one.

Commits are numbered 1..n along the history; n is known to be bad, 0 (the good one) is what every
measurement is paired with. The unknown is c, the first bad commit: every number below c has the
level of 0, every number from c on has the new level. Everything here is pure.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import special

__all__ = ["Bisection", "Group", "Misfit", "exact_step", "noisy_step"]

Floats = NDArray[np.float64]
Observations = Mapping[int, Sequence[float]]
Likelihood = Callable[[Observations, int], Floats]

# Launches have heavy tails; with so few degrees of freedom one outlier changes the result little.
_DEGREES = 4.0
_NUM_SCALES = 33
_NUM_LEVELS = 61
# Range of the scales, in units of the first estimate, and of the levels, in standard errors.
_SCALE_RANGE = (1 / 6, 8.0)
_LEVEL_RANGE = 6.0
_MISFIT_LEVEL = 0.001


def noisy_step(observed: Observations, num_commits: int) -> Floats:
    """Return the log likelihood of each first bad commit, ``[num_commits]``, up to a constant.

    Args:
        observed: By commit number in 1..num_commits, contrasts with commit 0, positive is worse;
            those of the last commit show the new level, and there must be two of them.
        num_commits: n; element ``c - 1`` of the result belongs to c.

    Raises:
        ValueError: Fewer than two values at the last commit, which must be worse on average.

    Assumptions:
        Pairs are independent; noise is Student's t with four degrees of freedom and one unknown
        scale for all commits. The new level (flat prior) and the scale (log-uniform prior) are
        integrated out on a grid around what the last commit shows.

    Small samples:
        Two values at the last commit leave the scale to its prior, a factor of eight either way.
    """
    bad = np.asarray(observed.get(num_commits, ()), dtype=np.float64)
    if len(bad) < 2 or float(np.median(bad)) <= 0:
        raise ValueError("the last commit needs at least two values, and their median above 0")
    level = float(np.median(bad))
    # 1.48 times the median deviation estimates a normal's standard deviation.
    scale = max(1.4826 * float(np.median(np.abs(bad - level))), 1e-4 * level)
    scales = scale * np.geomspace(*_SCALE_RANGE, _NUM_SCALES)
    reach = max(_LEVEL_RANGE * scale / math.sqrt(len(bad)), 0.5 * level)
    levels = np.linspace(max(level - reach, 0.0), level + reach, _NUM_LEVELS)
    numbers = sorted(number for number, values in observed.items() if len(values))
    before = np.zeros((len(numbers) + 1, 1, _NUM_SCALES))
    after = np.zeros((len(numbers) + 1, _NUM_LEVELS, _NUM_SCALES))
    for place, number in enumerate(numbers):
        for value in observed[number]:
            before[place + 1] += _log_t(value, 0.0, scales)[None, :]
            after[place] += _log_t(value, levels[:, None], scales[None, :])
    # With the first `place` measured commits on the good side, all others on the bad one.
    joint = np.cumsum(before, axis=0) + np.cumsum(after[::-1], axis=0)[::-1]
    joint = joint.reshape(len(numbers) + 1, -1)
    highest = joint.max()
    split = np.log(np.exp(joint - highest).sum(axis=1) + np.finfo(float).tiny) + highest
    likelihood: Floats = split[np.searchsorted(numbers, np.arange(1, num_commits + 1))]
    return likelihood


def exact_step(step: float) -> Likelihood:
    """Return the likelihood of an exact metric: one value beyond `step` is bad, others are good."""

    def likelihood(observed: Observations, num_commits: int) -> Floats:
        possible = np.zeros(num_commits)
        for number, values in observed.items():
            for value in values:
                if value > step:
                    possible[number:] = -math.inf  # c > number
                else:
                    possible[:number] = -math.inf  # c <= number
        return possible

    return likelihood


@dataclass(frozen=True, slots=True)
class Group:
    """Commits that no measurement can separate, because those between them cannot be measured.

    Attributes:
        numbers: One commit, or a run of which all but the last were skipped.
        probability: That the first bad commit is among them.
    """

    numbers: tuple[int, ...]
    probability: float


@dataclass(frozen=True, slots=True)
class Misfit:
    """A commit whose level is neither the old nor the new one, so there is more than one change.

    Attributes:
        number: The commit.
        level: Mean of its values.
        p: Of the test against one step, over all commits.
    """

    number: int
    level: float
    p: float


@dataclass(slots=True)
class Bisection:
    """The posterior over first bad commits, and which commit to measure next.

    Attributes:
        num_commits: n >= 1.
        likelihood: `noisy_step`, or what `exact_step` returns.
        observed: By commit number, values against commit 0 in the order they came.
        skipped: Commits that cannot be measured; the last is never one of them.
    """

    num_commits: int
    likelihood: Likelihood = noisy_step
    observed: dict[int, list[float]] = field(default_factory=dict)
    skipped: set[int] = field(default_factory=set)

    def observe(self, number: int, value: float) -> None:
        """Add one value of commit `number`.

        Raises:
            ValueError: No such commit, or a value that is not finite.
        """
        if not 1 <= number <= self.num_commits:
            raise ValueError(f"commit {number} is not one of 1..{self.num_commits}")
        if not math.isfinite(value):
            raise ValueError(f"commit {number}: the value {value} is not finite")
        self.observed.setdefault(number, []).append(value)

    def skip(self, number: int) -> None:
        """Mark commit `number` as one that cannot be measured; it stays a candidate.

        Raises:
            ValueError: No such commit, or the last one, which must have been measured.
        """
        if not 1 <= number < self.num_commits:
            raise ValueError(f"commit {number} is not one of 1..{self.num_commits - 1}")
        self.skipped.add(number)

    def posterior(self) -> Floats:
        """Return the probability of each first bad commit, ``[num_commits]``; the prior is uniform.

        Raises:
            ValueError: No single step is consistent with exact values.
        """
        logs = self.likelihood(self.observed, self.num_commits)
        highest = float(logs.max())
        if highest == -math.inf:
            raise ValueError("the values go back and forth: no single step gives them")
        weights = np.exp(logs - highest)
        posterior: Floats = weights / weights.sum()
        return posterior

    def groups(self) -> list[Group]:
        """Return the candidates in order; those that cannot be separated form one group."""
        posterior = self.posterior()
        groups: list[Group] = []
        run: list[int] = []
        for number in range(1, self.num_commits + 1):
            run.append(number)
            if number not in self.skipped:
                probability = float(sum(posterior[member - 1] for member in run))
                groups.append(Group(tuple(run), probability))
                run = []
        return groups

    def next(self) -> int | None:
        """Return the commit whose measurement tells most about c, or None where none tells anything.

        A measurement of commit i asks one question, whether c <= i, with the same noise for every
        i. Its expected information is then a symmetric concave function of P(c <= i): the most
        informative commit is the one whose probability is nearest to one half.
        """
        below = np.cumsum(self.posterior())
        open_ = [i for i in range(1, self.num_commits) if i not in self.skipped]
        if not open_:
            return None
        best = min(open_, key=lambda i: abs(below[i - 1] - 0.5))
        return best if 1e-12 < below[best - 1] < 1 - 1e-12 else None

    def misfit(self, margin: float) -> Misfit | None:
        """Return the commit that contradicts one step most, or None where one step fits.

        Args:
            margin: A contrast; a level this near to the old or the new one does not matter.

        Assumptions:
            Normal means: an F test of the commits' means against the best step, at level 0.001.
        """
        first = int(np.argmax(self.posterior())) + 1
        groups = {i: np.asarray(v, dtype=np.float64) for i, v in self.observed.items() if v}
        total = sum(len(values) for values in groups.values())
        within = sum(float(((values - values.mean()) ** 2).sum()) for values in groups.values())
        new = float(np.concatenate([v for i, v in groups.items() if i >= first]).mean())
        off = {i: float(v.mean()) - (new if i >= first else 0.0) for i, v in groups.items()}
        free, left = len(groups) - 1, total - len(groups)
        if free < 1 or left < 1:
            return None
        between = sum(len(groups[i]) * distance**2 for i, distance in off.items())
        if within <= 0:
            p = 0.0 if between > 0 else 1.0
        else:
            p = float(special.fdtrc(free, left, (between / free) / (within / left)))
        worst = max(off, key=lambda i: len(groups[i]) * off[i] ** 2)
        if p >= _MISFIT_LEVEL or abs(off[worst]) <= margin:
            return None
        return Misfit(worst, float(groups[worst].mean()), p)


def _log_t(value: float, level: Floats | float, scale: Floats) -> Floats:
    """Log density of Student's t, without the constants that every hypothesis shares."""
    z = (value - level) / scale
    density: Floats = -np.log(scale) - 0.5 * (_DEGREES + 1) * np.log1p(z * z / _DEGREES)
    return density
