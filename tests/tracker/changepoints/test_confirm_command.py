"""`tracker changepoints --confirm`: real pairs of a toy project's commits."""

import json

import pytest

from tests.tracker.changepoints.stores import STEPS, record_history
from tests.tracker.cli.commands import tracker
from tracker.store import Store

pytestmark = pytest.mark.e2e


def test_a_shift_is_measured_again_in_pairs_and_the_store_remembers(toy):
    toy.commit("older")
    toy.commit("before")
    head = toy.commit("more steps", STEPS=45)
    assert tracker(toy.root, "run", "HEAD~2..HEAD").code == 0
    done = tracker(toy.root, "changepoints", "--confirm", "3")
    assert done.code == 0, done.out + done.err
    assert f"confirming {head[:12]}" in done.err
    assert "confirmed by a paired run against" in done.out
    again = tracker(toy.root, "changepoints", "--confirm", "3", "--json")
    assert "confirming" not in again.err  # it is known
    (finding,) = json.loads(again.out)["findings"]
    assert (finding["commit"], finding["confirmation"]) == (head, "confirmed")


def test_a_shift_of_another_machine_is_not_measured_here(toy):
    toy.commit("only")
    with Store.open(f"sqlite:///{toy.root}/pacekeeper.db") as store:
        record_history(store, {STEPS: [141] * 5 + [150] * 5})
    done = tracker(toy.root, "changepoints", "--confirm", "1")
    assert done.code == 2
    assert "shifted in engine on gpu-1; here is toy on" in done.err
