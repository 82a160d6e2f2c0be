"""The rate of false regressions, and the noise of metrics: from A/A gates. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import betaincinv

from tracker.stats.contrasts import scales

__all__ = ["Noise", "lower_bound", "noise_of", "trials_to_confirm", "upper_bound"]


def upper_bound(events: int, trials: int, confidence: float = 0.95) -> float:
    """Return the one-sided upper confidence bound on a rate, exact for every rate.

    Args:
        events: How often it happened.
        trials: How often it could have, at least `events`.
        confidence: In (0, 1).

    Raises:
        ValueError: Counts or confidence that make no sense.

    Small samples:
        1 with no trials: nothing is known.

    Source:
        Clopper & Pearson 1934; `scipy.stats.binomtest(...).proportion_ci("exact")`, one-sided.
    """
    _check(events, trials, confidence)
    if events == trials:
        return 1.0
    return float(betaincinv(events + 1, trials - events, confidence))


def lower_bound(events: int, trials: int, confidence: float = 0.95) -> float:
    """Return the one-sided lower confidence bound on a rate; see `upper_bound`."""
    _check(events, trials, confidence)
    if events == 0:
        return 0.0
    return float(betaincinv(events, trials - events + 1, 1 - confidence))


def trials_to_confirm(rate: float, confidence: float = 0.95) -> int:
    """Return how many trials without an event put the upper bound at `rate` or below.

    Raises:
        ValueError: `rate` or `confidence` lies outside (0, 1).
    """
    if not 0 < rate < 1:
        raise ValueError(f"rate must lie in (0, 1), not {rate}")
    _check(0, 0, confidence)
    return math.ceil(math.log(1 - confidence) / math.log1p(-rate))


@dataclass(frozen=True, slots=True)
class Noise:
    """The spread of one metric where nothing changed, relative to its value.

    Where a value is zero or negative, differences over the median size of the values other than zero
    take the place of logarithms, as in the gate.

    Attributes:
        floor: Standard deviation of the logarithm between single launches, drift included.
        pair: Root mean square of the log ratio within interleaved pairs, whose true value is 0.
        pairs: From how many pairs.
    """

    floor: float
    pair: float
    pairs: int


def noise_of(pairs: Sequence[tuple[float, float]]) -> Noise | None:
    """Return the noise of the (base, head) values of A/A pairs, which are finite; None without any."""
    table = np.array(pairs, dtype=np.float64).reshape(-1, 2)
    if not len(table):
        return None
    levels = np.log(table) if np.all(table > 0) else table / scales(table.T[:, :, None])[0]
    return Noise(
        floor=float(levels.std(ddof=1)),
        pair=float(np.sqrt(np.mean((levels[:, 1] - levels[:, 0]) ** 2))),
        pairs=len(table),
    )


def _check(events: int, trials: int, confidence: float) -> None:
    if not 0 <= events <= trials:
        raise ValueError(f"need 0 <= events <= trials, not {events} of {trials}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie in (0, 1), not {confidence}")
