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


def tracker(url, *args, cwd=None):
    command = [sys.executable, "-m", "tracker", "--db", url, *args]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd)


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
    for args in ((), ("--alert",)):
        done = tracker(url, "changepoints", *args)
        assert done.returncode == 4
        assert "has no series" in done.stderr


def test_alerting_needs_to_know_the_project(url, tmp_path):
    with Store.open(url) as store:
        for project in ("engine", "other"):
            record_history(store, {STEPS: [141] * 5 + [150] * 5}, project=project)
    done = tracker(url, "changepoints", "--alert", cwd=tmp_path)
    assert done.returncode == 2
    assert "give --project: engine, other" in done.stderr
    done = tracker(url, "changepoints", "--alert", "--project", "other", cwd=tmp_path)
    assert "alert 1 [other]" in done.stderr


def test_alerts_are_opened_on_request_only(url, tmp_path):
    with Store.open(url) as store:
        record_history(store, {STEPS: [141] * 5 + [150] * 5})
    assert "alert" not in tracker(url, "changepoints", cwd=tmp_path).stderr
    (tmp_path / "pacekeeper.toml").write_text('[alerts]\nwebhook = "$NO_SUCH_HOOK"\n')
    done = tracker(url, "changepoints", "--alert", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "alert 1 [engine] 000000000005 is worse on gpu-1" in done.stderr
    assert "warning: alert 1 was not delivered to webhook: environment variable" in done.stderr
    (tmp_path / "pacekeeper.toml").write_text("[alerts]\nmin_efect = 1\n")
    done = tracker(url, "changepoints", "--alert", cwd=tmp_path)
    assert done.returncode == 2
    assert "did you mean 'min_effect'" in done.stderr
