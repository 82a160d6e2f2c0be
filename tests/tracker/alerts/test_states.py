"""The state machine: every state against every action."""

import pytest

from tracker.errors import UsageError
from tracker.triage import ALL_STATES, next_state

MOVES = {
    ("open", "ack"): "acked",
    ("open", "expect"): "expected",
    ("open", "resolve"): "resolved",
    ("acked", "expect"): "expected",
    ("acked", "resolve"): "resolved",
    ("expected", "ack"): "acked",
    ("expected", "resolve"): "resolved",
    ("resolved", "ack"): "acked",
    ("fixed", "ack"): "acked",
    ("acked", "reopen"): "open",
    ("expected", "reopen"): "open",
    ("resolved", "reopen"): "open",
    ("fixed", "reopen"): "open",
}


@pytest.mark.parametrize("state", ALL_STATES)
@pytest.mark.parametrize("action", ["ack", "expect", "resolve", "reopen"])
def test_every_move(state, action):
    if (state, action) in MOVES:
        assert next_state(state, action) == MOVES[state, action]
        return
    with pytest.raises(UsageError) as caught:
        next_state(state, action)
    assert f"cannot {action} an alert that is {state}" in str(caught.value)
    possible = [move for move in ("ack", "expect", "resolve", "reopen") if (state, move) in MOVES]
    assert str(caught.value).endswith(f"possible: {', '.join(possible)}")
