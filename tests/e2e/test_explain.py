"""From a commit to the place that it made slower, for real: a clone, asv, the engine, the store."""

import pytest

from tests.e2e.explain_evidence import Clone, first_row, named_first
from tests.e2e.planted_slowdowns import PLANTED

pytestmark = pytest.mark.e2e
# Exact counts show this one in two pairs of launches; the others need seven and stand in
# `python -m tests.e2e.explain_evidence`.
CHOSEN = "an op called twice"


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    return Clone(tmp_path_factory.mktemp("evidence") / "home")


def test_a_planted_slowdown_is_named_first(clone):
    planted = next(p for p in PLANTED if p.name == CHOSEN)
    suite = clone.explain(clone.plant(planted), planted.bench, 2)
    assert suite["pairs"] == 2 and named_first(planted, suite), first_row(suite)


def test_every_planted_edit_applies(clone):
    commits = {clone.plant(planted) for planted in PLANTED}
    assert len(commits) == len(PLANTED)
