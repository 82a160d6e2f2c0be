"""`tracker calibrate` and `tracker bisect` as users call them, with asv measuring a toy project."""

import json

import pytest

from tests.tracker.cli.commands import tracker
from tests.tracker.measure.toy import ToyProject
from tracker.store import Store, queries

pytestmark = pytest.mark.e2e


@pytest.fixture
def toy(tmp_path, monkeypatch):
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    return ToyProject(tmp_path / "toy")


def test_an_a_a_gate_is_run_kept_bounded_and_not_run_again(toy):
    head = toy.commit("one")
    few = ("--gates", "1", "--max-pairs", "2", "--bench", "ttft")
    done = tracker(toy.root, "calibrate", *few, "--format", "json")
    assert done.code == 0, done.out + done.err
    told = json.loads(done.out)
    assert (told["commit"], told["gates"], told["false_blocks"]) == (head, 1, 0)
    assert told["rate_high"] == pytest.approx(0.95)
    assert [one["metric"] for one in told["metrics"]] == ["bench_toy.Serve.track_ttft"]
    assert 0 < told["metrics"][0]["pair_noise"] < 0.003
    again = tracker(toy.root, "calibrate", *few)
    assert again.code == 0 and "A/A gate" not in again.err
    assert "NOT REFUTED: 0 of 1 A/A gates called a regression" in again.out
    with Store.open(f"sqlite:///{toy.root}/pacekeeper.db") as store:
        (block,) = queries.calibration_blocks(store, "toy")
        assert (block.gates, block.policy["commit"]) == (1, head)


def test_the_culprit_is_named_round_a_commit_that_does_not_build(toy):
    good = toy.commit("good")
    toy.commit("fine", MOOD=1)
    broken = toy.commit("broken", CRASH=True)
    toy.commit("fine again", MOOD=2)
    culprit = toy.commit("one step more", STEPS=41)
    toy.commit("later", STEPS=41, MOOD=3)
    done = tracker(toy.root, "bisect", good, "HEAD", "--bench", "steps", "--json")
    assert done.code == 0, done.out + done.err
    told = json.loads(done.out)
    assert (told["outcome"], told["culprits"]) == ("named", [culprit])
    skipped = {one["commit"]: one["skipped"] for one in told["commits"]}
    assert "the core does not start" in skipped[broken]
    refused = tracker(toy.root, "bisect", "HEAD", good)
    assert refused.code == 2 and "must be an ancestor of BAD" in refused.err
