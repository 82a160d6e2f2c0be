"""What the noise of a series is like: ranks that tame its tails, the inflation by its memory."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import special

__all__ = ["Floats", "inflation", "midranks", "normal_scores"]

Floats = NDArray[np.float64]

_MAX_CORRELATION = 0.9


def midranks(values: Floats) -> Floats:
    """Return the ranks from 1, ties sharing their mean, as `scipy.stats.rankdata` does."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    stops = np.append(starts[1:], len(values))
    ranks = np.empty(len(values))
    ranks[order] = np.repeat((starts + stops + 1) / 2, stops - starts)
    return ranks


def normal_scores(ranks: Floats) -> Floats:
    """Return Blom's normal scores of the ranks 1 to n: what a sorted normal sample would show."""
    scores: Floats = special.ndtri((ranks - 0.375) / (len(ranks) + 0.25))
    return scores


def inflation(residuals: Floats, *, num_means: int, standard_errors: float = 0.0) -> Floats:
    """Return by how much AR(1) noise widens the variance of a mean; at least 1.

    Args:
        residuals: ``[..., n]``, what fitted means left, in the order of time.
        num_means: How many means were fitted: each biases the correlation down by about
            (1 + 2 rho) / n, which is put back.
        standard_errors: How many standard errors, 1 / sqrt(n), are added to the correlation: few
            points know little of it.
    """
    n = residuals.shape[-1]
    energy = (residuals * residuals).sum(axis=-1)
    noiseless = energy <= 1e-12 * n  # a step, but for rounding
    lagged = (residuals[..., 1:] * residuals[..., :-1]).sum(axis=-1)
    rho = lagged / np.where(noiseless, 1.0, energy)
    rho += num_means * (1 + 2 * np.maximum(rho, 0.0)) / n + standard_errors / np.sqrt(n)
    rho = np.clip(rho, 0.0, _MAX_CORRELATION)
    widened: Floats = np.where(noiseless, 1.0, (1 + rho) / (1 - rho))
    return widened
