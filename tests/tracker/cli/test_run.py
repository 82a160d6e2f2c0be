import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.tracker.cli.commands import tracker
from tests.tracker.measure.toy import quiet_environment
from tracker.store import Store, queries
from tracker.store.queries.measured import count_launches

pytestmark = pytest.mark.e2e

TTFT = "bench_toy.Serve.track_ttft"


def points(toy, metric=TTFT):
    with Store.open(f"sqlite:///{toy.root}/pacekeeper.db") as store:
        (series,) = [s for s in queries.list_series(store, "toy") if s.metric == metric]
        return queries.history(store, series.id).points


def test_a_range_is_measured_oldest_first_and_resumed(toy):
    toy.git("remote", "add", "origin", "git@github.com:o/toy.git")
    toy.commit("first", TTFT=9)
    two = toy.commit("second", TTFT=0.2)
    broken = toy.commit("broken", CRASH=True)
    four = toy.commit("fourth", TTFT=0.4)
    done = tracker(toy.root, "run", "HEAD~3..HEAD", "--json")
    assert done.code == 0, done.err
    report = json.loads(done.out)
    assert [c["commit"] for c in report["commits"]] == [two, broken, four]
    assert [c["measured"] for c in report["commits"]] == [4, 0, 4]
    assert "the core does not start" in report["commits"][1]["error"]
    assert [(p.revision.commit, p.revision.subject) for p in points(toy)] == [
        (two, "second"),
        (four, "fourth"),
    ]
    assert [round(p.value, 1) for p in points(toy)] == [0.2, 0.4]
    with Store.open(f"sqlite:///{toy.root}/pacekeeper.db") as store:
        (project,) = queries.list_projects(store)
        assert project.commit_url == "https://github.com/o/toy/commit/{commit}"
        assert any("does not start" in p.reason for p in queries.ingest_problems(store, "toy"))
    again = tracker(toy.root, "run", "HEAD~3..HEAD", "--json")
    report = json.loads(again.out)
    assert (report["measured"], report["skipped"], report["failed"]) == (0, 2, 1)
    compared = tracker(toy.root, "compare", "HEAD~2", "HEAD", "--format", "json")
    assert compared.code == 0
    found = {m["metric"]: m for m in json.loads(compared.out)["metrics"]}
    assert 0.9 < found[TTFT]["effect"] < 1.1
    assert (found[TTFT]["base_n"], found[TTFT]["head_n"]) == (1, 1)


def test_a_suite_with_a_new_version_is_measured_again(toy):
    toy.commit("one")
    assert tracker(toy.root, "run", "--bench", "ttft").code == 0
    assert "already" in tracker(toy.root, "run", "--bench", "ttft").out
    suite = toy.root / "benchmarks" / "bench_toy.py"
    suite.write_text(suite.read_text().replace('kind, "1"', 'kind, "2"'))
    done = tracker(toy.root, "run", "--bench", "ttft")
    assert "1 commits measured" in done.out
    assert "uncommitted changes; these numbers belong to no committed suite" in done.err


def test_repeat_and_again_add_attempts(toy):
    toy.commit("one")
    assert tracker(toy.root, "run", "--repeat", "2", "--bench", "ttft").code == 0
    assert tracker(toy.root, "run", "--again", "--bench", "ttft").code == 0
    (point,) = points(toy)
    assert point.num_attempts == 3


def test_repeat_measures_what_is_missing(toy):
    toy.commit("one")

    def launches(*args):
        done = tracker(toy.root, "run", "--json", "--bench", "ttft", *args)
        (commit,) = json.loads(done.out)["commits"]
        return commit["launches"]

    assert launches() == 1
    assert launches("--repeat", "3") == 2
    assert launches("--repeat", "3") == 0
    assert points(toy)[0].num_attempts == 3


def test_only_launches_count_towards_repeat(toy):
    head = toy.commit("one")
    assert tracker(toy.root, "run").code == 0
    with Store.open(f"sqlite:///{toy.root}/pacekeeper.db") as store:
        (machine,) = queries.list_machines(store, "toy")
        assert count_launches(store, "toy", machine, [head])[head][TTFT, "1"] == 1
        assert count_launches(store, "toy", machine, ["0" * 40]) == {}
        assert count_launches(store, "toy", "other", [head]) == {}
        with store._engine.begin() as connection:
            connection.execute(text("UPDATE run SET source = 'gate'"))
        assert count_launches(store, "toy", machine, [head]) == {}


def test_nothing_measured_is_not_success(toy):
    toy.commit("broken", CRASH=True)
    done = tracker(toy.root, "run")
    assert done.code == 4
    assert "the core does not start" in done.err and "log.txt" in done.err


def test_usage_errors(toy):
    assert "no commits yet" in tracker(toy.root, "run").err
    toy.commit("one")
    for args, said in (
        (["nonesuch"], "unknown commit 'nonesuch'"),
        (["HEAD..HEAD"], "is empty"),
        (["--config", "none.json"], "no such asv configuration"),
        (["--repeat", "0"], "--repeat"),
        (["--bench", "("], "regular expression"),
    ):
        done = tracker(toy.root, "run", *args)
        assert (done.code, said in done.err) == (2, True), done.err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_keeps_what_was_measured_and_leaves_no_process(toy, number, code):
    toy.commit("before")
    toy.commit("first")
    toy.commit("sleeps", SLEEP=1)
    suite = toy.root / "benchmarks" / "bench_toy.py"
    suite.write_text(
        suite.read_text()
        .replace("time.sleep(toy.SLEEP)", "time.sleep(60)")
        .replace("track_ttft.timeout = 2", "track_ttft.timeout = 100")
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "tracker", "run", "HEAD~2..HEAD"],
        cwd=toy.root,
        env=quiet_environment(Path(os.environ["HOME"])),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    launches = toy.root / ".pacekeeper" / "launches"
    deadline = time.monotonic() + 120
    while len(list(launches.glob("*/artifacts/*.jsonl"))) < 2:
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.1)
    time.sleep(1)
    process.send_signal(number)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == code
    assert "1 commits measured, interrupted" in out
    (point,) = points(toy)
    assert point.revision.subject == "first"
    left = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # ended since it was listed
            if str(toy.root).encode() in (entry / "cmdline").read_bytes():
                left.append(entry.name)
    assert left == []
