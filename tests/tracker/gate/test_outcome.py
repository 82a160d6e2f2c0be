"""One word and one exit code, from whatever applies."""

import itertools
from typing import get_args

import pytest

from tracker.domain import Outcome
from tracker.gate.outcome import exit_code_of, outcome_of, worst

FACTS = ("invalid", "broken", "regression", "infrastructure", "undecided", "improvement")


@pytest.mark.parametrize("applies", list(itertools.product([False, True], repeat=len(FACTS))))
def test_only_what_is_nothing_but_good_is_green(applies):
    facts = dict(zip(FACTS, applies, strict=True))
    outcome = outcome_of(**facts)
    assert (outcome in ("pass", "improvement")) == (not any(applies[:5]))
    code = exit_code_of(outcome, undecided_blocks=True)
    blocks = not facts["invalid"] and (facts["broken"] or facts["regression"])
    assert (code == 1) == blocks
    assert code == 0 or any(applies[:5])


def test_every_outcome_has_an_exit_code():
    codes = {word: exit_code_of(word, undecided_blocks=True) for word in get_args(Outcome)}
    assert codes == {
        "pass": 0, "improvement": 0, "regression": 1, "broken": 1, "inconclusive": 3,
        "invalid": 4, "infrastructure": 4,
    }  # fmt: skip
    assert exit_code_of("inconclusive", undecided_blocks=False) == 0


@pytest.mark.parametrize("blocks", [True, False])
def test_ctrl_c_exits_130_unless_the_gate_was_decided(blocks):
    assert exit_code_of("inconclusive", undecided_blocks=blocks, interrupted=True) == 130
    assert exit_code_of("regression", undecided_blocks=blocks, interrupted=True) == 1
    assert exit_code_of("pass", undecided_blocks=blocks, interrupted=True) == 0


def test_of_several_gates_a_block_counts_before_what_was_not_measured():
    assert worst(["pass", "invalid", "regression"]) == "regression"
    assert worst(["pass", "improvement"]) == "improvement"
    assert worst([]) == "pass"
