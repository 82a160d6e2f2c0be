"""The most informative commits without a value: around level shifts, then in the largest gaps."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.schedule.backfill import backfill_of

BRANCH = "ponmlkjihgfedcba"  # newest first


@pytest.mark.parametrize(
    ("measured", "limit", "shifts", "unusable", "expected"),
    [
        ("ap", 1, [], "", "i"),  # the middle of the one gap, the newer of two
        ("ap", 3, [], "", "iem"),
        ("aep", 1, [], "", "k"),  # the larger gap
        ("aep", 2, [("a", "e")], "", "cb"),  # the shift's gap, until nothing of it is unknown
        ("aep", 4, [("a", "e")], "", "cbdk"),
        ("aep", 2, [("e", "p"), ("a", "e")], "", "kh"),  # in the order of the shifts
        ("ap", 1, [("x", "y")], "", "i"),  # a shift of another branch
        ("ap", 1, [], "i", "h"),
        ("ac", 1, [], "b", ""),
        ("d", 9, [], "", "bac"),  # also below the oldest one; e and later are new, not missing
        ("", 9, [], "", ""),
        (BRANCH, 9, [], "", ""),
    ],
)
def test_what_is_chosen(measured, limit, shifts, unusable, expected):
    chosen = backfill_of(list(BRANCH), set(measured), limit, shifts=shifts, unusable=set(unusable))
    assert "".join(chosen) == expected


@given(st.integers(0, 40), st.sets(st.integers(0, 39)), st.sets(st.integers(0, 39)))
def test_everything_below_the_newest_value_is_chosen_once_in_the_end(size, measured, unusable):
    newest_first = [str(number) for number in reversed(range(size))]
    known = {str(number) for number in measured if number < size}
    bad = {str(number) for number in unusable}
    newest = max((int(commit) for commit in known), default=-1)
    chosen = backfill_of(newest_first, known, 100, unusable=bad)
    wanted = {str(number) for number in range(newest)} - known - bad
    assert sorted(chosen) == sorted(wanted)
