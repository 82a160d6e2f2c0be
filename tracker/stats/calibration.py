"""How often a gate cries wolf, and how loud the noise is: from A/A gates. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import betaincinv

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
    """The spread of one metric where nothing changed; ratios.

    Attributes:
        floor: Standard deviation of the logarithm between single launches, drift included.
        pair: Root mean square of the log ratio within interleaved pairs, of which the truth is 0.
        pairs: Behind both.
    """

    floor: float
    pair: float
    pairs: int


def noise_of(pairs: Sequence[tuple[float, float]]) -> Noise | None:
    """Return the noise of the (base, head) values of A/A pairs.

    Small samples:
        None without a pair, or where a value is not positive (its logarithm does not exist).
    """
    table = np.array(pairs, dtype=np.float64).reshape(-1, 2)
    if not len(table) or not np.all(np.isfinite(table)) or np.any(table <= 0):
        return None
    logs = np.log(table)
    return Noise(
        floor=float(logs.std(ddof=1)),
        pair=float(np.sqrt(np.mean((logs[:, 1] - logs[:, 0]) ** 2))),
        pairs=len(table),
    )


def _check(events: int, trials: int, confidence: float) -> None:
    if not 0 <= events <= trials:
        raise ValueError(f"need 0 <= events <= trials, not {events} of {trials}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie in (0, 1), not {confidence}")
