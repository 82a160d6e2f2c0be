"""Real gates: asv measures the commits of a toy project, the exit code is the verdict."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.tracker.cli.commands import tracker
from tests.tracker.measure.toy import quiet_environment
from tracker.store import Store, queries

pytestmark = pytest.mark.e2e

TTFT = "bench_toy.Serve.track_ttft"


def test_a_slow_commit_is_blocked_and_named_and_every_launch_is_kept(toy):
    base = toy.commit("fast")
    head = toy.commit("slow", TTFT=0.11)
    done = tracker(toy.root, "gate", "HEAD~1", "HEAD", "--seed", "1")
    assert done.code == 1, done.out + done.err
    assert TTFT in done.out.splitlines()[-1] and "REGRESSION" in done.out
    assert "pair 8" in done.err
    with Store.open(f"sqlite:///{toy.root}/pacekeeper.db") as store:
        (gate,) = queries.list_gates(store, "toy")
        assert (gate.exit_code, gate.base.commit, gate.head.commit) == (1, base, head)
        assert gate.head.subject == "slow"
        assert gate.policy["alpha"] == 0.01 and gate.policy["seed"] == 1
        status = {verdict.metric: verdict.status for verdict in gate.verdicts}
        assert status[TTFT] == "regression" and status["bench_toy.Serve.track_steps"] == "pass"
        values = queries.paired_values(store, "toy", base, head, gate_id=gate.id)
        pairs = values[TTFT].pairs
        assert len(pairs) == gate.pairs == 8
        assert all(after > 1.05 * before for before, after in pairs)
    again = tracker(toy.root, "gate", "HEAD~1", "HEAD", "--stored", "--format", "json")
    assert again.code == 1
    found = {m["metric"]: m for m in json.loads(again.out)["metrics"]}
    assert found[TTFT]["verdict"] == "regression" and found[TTFT]["pairs"] == 8
    other = tracker(toy.root, "gate", "HEAD", "HEAD~1", "--stored")
    assert other.code == 4 and "no interleaved pairs" in other.out


def test_a_harmless_commit_passes_and_the_report_is_a_file(toy):
    toy.commit("one")
    toy.commit("another comment", MOOD=1)
    out = toy.root / "report.xml"
    done = tracker(toy.root, "gate", "HEAD~1", "HEAD", "--format", "junit", "--out", str(out))
    assert done.code == 0, out.read_text() + done.err
    assert done.out == ""
    suite = ElementTree.parse(out).getroot().find("testsuite")
    assert suite.get("failures") == suite.get("errors") == "0"
    assert int(suite.get("tests")) == 4


def test_a_commit_against_itself_with_too_few_pairs_says_so(toy):
    toy.commit("one")
    done = tracker(toy.root, "gate", "HEAD", "HEAD", "--max-pairs", "1", "--bench", "steps|ttft")
    assert done.code == 0, done.out + done.err
    assert "track_ttft undecided" in done.out and "noise shows from 2" in done.out
    (toy.root / "pacekeeper.toml").write_text('[gate]\non_inconclusive = "block"\n')
    done = tracker(toy.root, "gate", "HEAD", "HEAD", "--max-pairs", "1", "--bench", "ttft")
    assert done.code == 3 and "INCONCLUSIVE" in done.out


@pytest.mark.parametrize(
    ("change", "word", "said"),
    [
        ({"CRASH": True}, "BROKEN", "the core does not start"),
        ({"RETURNS_DICT": True}, "BROKEN", "a dict, not a number"),
        ({"SLEEP": 9}, "BROKEN", "timed out after 2 s"),
        ({"ERRORS": 0.25}, "INVALID", "requests fail in head"),
        ({"TORCH": "2.1"}, "INVALID", "torch from 2.0 to 2.1"),
    ],
)
def test_a_head_that_cannot_be_compared_is_no_pass(toy, change, word, said):
    toy.commit("good")
    toy.commit("odd", **change)
    done = tracker(toy.root, "gate", "HEAD~1", "HEAD", "--max-pairs", "3")
    assert done.code == {"BROKEN": 1, "INVALID": 4}[word], done.out + done.err
    headline = done.out.splitlines()[-1]
    assert headline.startswith(word) and said in headline
    if "CRASH" in change:
        assert any(line.startswith("  | ") and said in line for line in done.out.splitlines())


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["nonesuch", "HEAD"], "unknown commit 'nonesuch'"),
        (["HEAD~5", "HEAD"], "no such ancestor"),
        (["HEAD", "HEAD", "--budget", "soon"], "is no time"),
        (["HEAD", "HEAD", "--bench", "("], "no regular expression"),
        (["HEAD", "HEAD", "--out", "no/where.txt"], "no such directory"),
        (["HEAD", "HEAD", "--policy", "none.toml"], "no such policy file"),
        (["HEAD", "HEAD", "--formt", "json"], "No such option"),
        (["HEAD"], "Missing argument"),
    ],
)
def test_usage_errors_exit_2_and_name_the_thing(toy, args, said):
    toy.commit("one")
    done = tracker(toy.root, "gate", *args)
    assert done.code == 2
    assert said in done.err


def test_an_unknown_policy_key_exits_2_with_the_nearest(toy):
    toy.commit("one")
    (toy.root / "pacekeeper.toml").write_text("[gate]\nmax_pair = 3\n")
    done = tracker(toy.root, "gate", "HEAD", "HEAD")
    assert done.code == 2
    assert "unknown key 'max_pair'; did you mean 'max_pairs'" in done.err


def test_a_killed_gate_goes_on_where_it_was(toy):
    toy.commit("one")
    command = [sys.executable, "-m", "tracker", "gate", "HEAD", "HEAD", "--max-pairs", "3"]
    running = subprocess.Popen(
        command, cwd=toy.root, env=quiet_environment(Path(os.environ["HOME"])),
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with running:
        assert any(line.startswith("pair 1 ") for line in running.stderr)
        running.kill()
    done = tracker(toy.root, "gate", "HEAD", "HEAD", "--max-pairs", "3")
    assert done.code == 0, done.out + done.err
    found = re.search(r"resuming after (\d) pair", done.err)
    assert found and 1 <= int(found[1]) < 3
    with Store.open(f"sqlite:///{toy.root}/pacekeeper.db") as store:
        (gate,) = queries.list_gates(store, "toy")
        assert (gate.exit_code, gate.pairs) == (0, 3)
        found = queries.paired_values(
            store, "toy", gate.base.commit, gate.head.commit, gate_id=gate.id, machine=gate.machine
        )
        assert found[TTFT].numbers == (1, 2, 3)


def test_an_absolute_limit_blocks(toy):
    toy.commit("one")
    (toy.root / "pacekeeper.toml").write_text('[limits]\n"track_steps" = 39\n')
    done = tracker(toy.root, "gate", "HEAD", "HEAD", "--max-pairs", "1", "--bench", "steps")
    assert done.code == 1
    assert "LIMIT BROKEN: bench_toy.Serve.track_steps" in done.out
