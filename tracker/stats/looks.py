"""When the gate looks at its pairs, and how it divides its error budgets among those looks."""

from __future__ import annotations

from collections.abc import Sequence

from tracker.stats.signflip import num_flips

__all__ = [
    "called_flips",
    "can_call",
    "fewest_pairs",
    "look_schedule",
    "miss_levels",
    "missed_flips",
]

# Dense where most gates end, then wider and wider: a look costs level, and late ones gain little.
_LOOKS = (6, 7, 8, 10, 12, 15, 19, 24, 30, 38, 50, 65, 85, 110, 140, 180, 230, 300)
_FIRST_SHARE = 0.4  # of alpha, at the first look that can call a regression with it
_NEXT_SHARE = 0.25  # of what is left of alpha, at each look after it
# Chance of passing a metric that is worse by `detect`: half by Student's t at the first looks,
# which decide most unchanged metrics, half by sign flips at all that have enough of them.
_MISS = 0.02
_EARLY_LOOKS = 3


def look_schedule(max_pairs: int) -> tuple[int, ...]:
    """Return the numbers of pairs at which the gate decides, ascending, `max_pairs` last."""
    return (*(n for n in _LOOKS if n < max_pairs), max_pairs)


def called_flips(alpha: float, looks: Sequence[int]) -> dict[int, int]:
    """Return by look how many flips may do as well as the observed arrangement, which is one of them.

    Their shares of all flips of the look sum to at most `alpha`, which bounds the chance that any
    look calls a false regression. A look whose share is less than one flip leaves it to the next.
    """
    able = [n for n in looks if num_flips(n) * alpha * _FIRST_SHARE >= 1] or [looks[-1]]
    allowed = dict.fromkeys(looks, 0)
    budget = spent = 0.0
    for n in able:
        share = _FIRST_SHARE if n == able[0] else _NEXT_SHARE
        budget = alpha if n == looks[-1] else budget + (alpha - budget) * share
        # Slightly more, so that rounding does not lose the one flip that 1/256 of 256 is.
        allowed[n] = int((budget - spent) * num_flips(n) * (1 + 1e-12))
        spent += allowed[n] / num_flips(n)
    return allowed


def miss_levels(looks: Sequence[int]) -> dict[int, float]:
    """Return by early look the chance that Student's t there passes what is worse by `detect`."""
    early = looks[:_EARLY_LOOKS]
    return dict.fromkeys(early, _MISS / 2 / len(early))


def missed_flips(looks: Sequence[int]) -> dict[int, int]:
    """Return by look how many flips may do as well as the observed arrangement for a pass."""
    return called_flips(_MISS / 2, looks)


def fewest_pairs(alpha: float) -> int | None:
    """Return the first scheduled look at which a regression can be called; None: at none."""
    return next((n for n in _LOOKS if num_flips(n) * alpha * _FIRST_SHARE >= 1), None)


def can_call(pairs: int, alpha: float) -> bool:
    """Whether a gate of at most so many pairs can call a regression of a noisy metric at all."""
    return num_flips(pairs) * alpha >= 1
