"""The states of an alert, and the moves between them.

::

    open ──ack──► acked        under investigation
    open, acked ──expect──► expected     the change is accepted
    open, acked, expected ──resolve──► resolved     fixed or reverted
    expected, resolved ──ack──► acked    it was closed too early
"""

from __future__ import annotations

from typing import Literal

from tracker.domain import AlertState
from tracker.errors import UsageError

__all__ = ["ALL_STATES", "Action", "next_state"]

Action = Literal["ack", "expect", "resolve"]

ALL_STATES: tuple[AlertState, ...] = ("open", "acked", "expected", "resolved")

_MOVES: dict[Action, tuple[AlertState, frozenset[AlertState]]] = {
    "ack": ("acked", frozenset({"open", "expected", "resolved"})),
    "expect": ("expected", frozenset({"open", "acked"})),
    "resolve": ("resolved", frozenset({"open", "acked", "expected"})),
}


def next_state(state: AlertState, action: Action) -> AlertState:
    """The state that `action` leads to from `state`.

    Raises:
        UsageError: The move is impossible; the message names the moves that are possible.
    """
    target, sources = _MOVES[action]
    if state in sources:
        return target
    possible = ", ".join(name for name, (_, starts) in _MOVES.items() if state in starts)
    raise UsageError(f"cannot {action} an alert that is {state}; possible: {possible}")
