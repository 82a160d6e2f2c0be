"""`tracker changepoints` as a user calls it."""

import json
import subprocess
import sys

import pytest

from tests.tracker.changepoints.stores import STEPS, TTFT, record_history
from tracker.store import Store


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/store.db"


def tracker(url, *args):
    return subprocess.run(
        [sys.executable, "-m", "tracker", "--db", url, *args], capture_output=True, text=True
    )


def test_text_json_and_exit_codes(url):
    with Store.open(url) as store:
        record_history(store, {STEPS: [141] * 5 + [150] * 5, TTFT: [None] * 3})
    done = tracker(url, "changepoints")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Commit 5" in done.stdout
    assert "worse  1 series" in done.stdout
    assert "+6.38%  bench.Chat.track_steps  141 -> 150" in done.stdout
    assert "\x1b" not in done.stdout
    done = tracker(url, "changepoints", "--json", "--project", "engine", "--machine", "gpu-1")
    document = json.loads(done.stdout)
    assert (document["num_shifts"], document["num_missing"]) == (1, 3)
    assert document["findings"][0]["changes"][0]["benchmark"] == STEPS.name
    done = tracker(url, "changepoints", "--search", "zzz")
    assert done.returncode == 2
    assert "no series fits --search zzz" in done.stderr


def test_an_empty_store_exits_4(url):
    done = tracker(url, "changepoints")
    assert done.returncode == 4
    assert "has no series" in done.stderr
