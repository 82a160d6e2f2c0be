"""The outcome of a gate: one word and one exit code, the same wherever it is shown."""

from __future__ import annotations

from collections.abc import Iterable

from tracker.domain import Outcome

__all__ = ["INTERRUPTED", "exit_code_of", "outcome_of", "worst"]

INTERRUPTED = 130  # as a shell reports a process that Ctrl-C ended

# The word that is shown where several apply; a change that blocks comes before all else.
_WORST_FIRST: tuple[Outcome, ...] = (
    "broken",
    "regression",
    "invalid",
    "infrastructure",
    "inconclusive",
    "improvement",
    "pass",
)
_EXIT_CODES: dict[Outcome, int] = {
    "pass": 0,
    "improvement": 0,
    "regression": 1,
    "broken": 1,
    "inconclusive": 3,
    "invalid": 4,
    "infrastructure": 4,
}


def outcome_of(
    *,
    invalid: bool = False,
    broken: bool = False,
    regression: bool = False,
    infrastructure: bool = False,
    undecided: bool = False,
    improvement: bool = False,
) -> Outcome:
    """Return the outcome of a gate.

    Args:
        invalid: The measurement as a whole decides nothing, whatever its values seem to show.
        broken: HEAD fails a voting benchmark that BASE runs.
        regression: A voting metric regressed, a limit is broken, or a budget of drift exceeded.
        infrastructure: A voting benchmark fails in both commits or in BASE only, or nothing could
            be measured.
        undecided: A voting metric is neither shown to be worse nor shown not to be.
        improvement: A voting metric is better by more than its margin.
    """
    if invalid:
        return "invalid"
    words: dict[Outcome, bool] = {
        "broken": broken,
        "regression": regression,
        "infrastructure": infrastructure,
        "inconclusive": undecided,
        "improvement": improvement,
    }
    return worst(word for word, applies in words.items() if applies)


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """Return the outcome that counts of several; "pass" of none."""
    return min(outcomes, key=_WORST_FIRST.index, default="pass")


def exit_code_of(outcome: Outcome, *, undecided_blocks: bool, interrupted: bool = False) -> int:
    """Return the exit code of `tracker gate`.

    Args:
        outcome: Of the gate.
        undecided_blocks: Whether the policy blocks on what is undecided.
        interrupted: Whether Ctrl-C ended the gate; one that was decided by then exits as usual.
    """
    if outcome == "inconclusive" and (interrupted or not undecided_blocks):
        return INTERRUPTED if interrupted else 0
    return _EXIT_CODES[outcome]
