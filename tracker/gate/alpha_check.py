"""Whether the A/A gates of a machine agree with alpha. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from tracker.domain import CalibrationBlock
from tracker.stats.calibration import lower_bound

__all__ = ["alpha_warning", "pooled", "remedy", "tightened"]


def pooled(blocks: Iterable[CalibrationBlock], alpha: float) -> tuple[int, int]:
    """Return (gates, false blocks) of the blocks that speak for `alpha` today.

    Args:
        blocks: Of one machine, newest first. Those with another alpha are left out, and so is
            whatever is older than a fresh start.
        alpha: The policy's.
    """
    gates = false_blocks = 0
    for block in blocks:
        if block.policy.get("alpha") != alpha:
            continue
        gates += block.gates
        false_blocks += block.false_blocks
        if block.policy.get("fresh"):
            break
    return gates, false_blocks


def alpha_warning(blocks: Iterable[CalibrationBlock], alpha: float) -> str | None:
    """Return a warning where the machine's A/A gates refute `alpha`, else None; see `pooled`."""
    gates, false_blocks = pooled(blocks, alpha)
    lowest = lower_bound(false_blocks, gates)
    if lowest <= alpha:
        return None
    return (
        f"{false_blocks} of {gates} A/A gates on this machine called a regression: the rate is at "
        f"least {lowest:.1%} (95 %), more than alpha {alpha:g}; "
        f"{remedy(tightened(alpha, gates, false_blocks))}"
    )


def remedy(alpha: float) -> str:
    """Return what to do where alpha is refuted; `alpha` is the level to try."""
    return (
        "mend what `tracker doctor` finds and run `tracker calibrate --fresh`, or write "
        f"`alpha = {alpha:.1g}` under [gate] in the policy (pacekeeper.toml) and run `tracker calibrate`"
    )


def tightened(alpha: float, gates: int, false_blocks: int) -> float:
    """Return the alpha to try where `false_blocks` of `gates` refute `alpha`.

    The level is cut by the factor by which the measured rate exceeds it. That is a start, not a
    guarantee: why base and head are not exchangeable is not known, so the new level needs A/A
    gates of its own.
    """
    return min(alpha, alpha * alpha * gates / false_blocks)
