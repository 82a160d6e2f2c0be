"""Judging a metric whose change is intended: the gate tests what goes beyond it.

A metric that is expected to get 6 % slower is a regression when it got slower than that by more
than its margin. An expectation only excuses: an expected improvement is shown and never
required.
"""

from __future__ import annotations

from dataclasses import replace

from tracker.domain import Better, Expectation
from tracker.report.numbers import percent
from tracker.stats import Verdict

__all__ = ["exact_step", "explained", "shifted"]


def shifted(pair: tuple[float, float], expected: Expectation) -> tuple[float, float]:
    """Return the pair as it would be without the expected change."""
    base, head = pair
    return base, head / (1 + expected.change)


def exact_step(
    base: float, step: float, margin: float, expected: Expectation, better: Better
) -> float:
    """Return the change of an exact metric up to which it is no worse than expected.

    `margin` on top of the expected change leaves room for a number that was rounded when it was
    written down.
    """
    worst = base * (1 + expected.change)
    worst = worst * (1 + margin) if better == "lower" else worst / (1 + margin)
    return max(step, abs(worst - base))


def explained(verdict: Verdict, expected: Expectation, better: Better, *, exact: bool) -> Verdict:
    """Return the verdict on a metric whose expected change was taken out, in terms of what was measured.

    Args:
        verdict: As the gate gave it: on the shifted pairs, or with the wider step if exact.
        expected: For the worse; see `is_excused`.
        better: Direction of the metric.
        exact: Whether the metric is exact, so that its pairs were not shifted.
    """
    factor = 1.0 if exact else 1 + expected.change

    def real(ratio: float | None) -> float | None:
        return None if ratio is None else (1 + ratio) * factor - 1

    low, high = real(verdict.low), real(verdict.high)
    effect = real(verdict.effect)
    wanted = f"expected {percent(expected.change)} because {expected.because}"
    harmless = high if better == "lower" else low
    sign = 1 if better == "lower" else -1
    status = verdict.status
    if status == "regression":
        reason = f"worse than {wanted}; {verdict.reason}"
    elif status == "inconclusive":
        reason = f"{wanted}; {verdict.reason}"
    elif effect is not None and sign * effect <= 0:
        reason = f"not worse at all: {wanted}"
        status = "improvement" if harmless is not None and sign * harmless < 0 else "pass"
    else:
        reason = f"as {wanted}" if status == "pass" else f"better than {wanted}"
        status = "pass"
    return replace(
        verdict, status=status, effect=effect, low=low, high=high, reason=reason,
        mde=verdict.mde if exact else _worse(verdict.mde, expected, better),
    )  # fmt: skip


def _worse(mde: float | None, expected: Expectation, better: Better) -> float | None:
    """The smallest slowdown that would have been called: the expected one and `mde` on top."""
    if mde is None:
        return None
    slower = 1 + expected.change if better == "lower" else 1 / (1 + expected.change)
    return slower * (1 + mde) - 1
