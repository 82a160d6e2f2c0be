"""`tracker alerts` as a user calls it."""

import json
import subprocess
import sys

import pytest

from tests.tracker.changepoints.stores import STEPS, record_history
from tracker.alerts import AlertsConfig, notify
from tracker.changepoints import analyze
from tracker.store import Store


@pytest.fixture
def tracker(tmp_path):
    url = f"sqlite:///{tmp_path}/store.db"
    with Store.open(url) as store:
        record_history(store, {STEPS: [141] * 5 + [150] * 5})
        analyze(store)
        notify(store, "engine", AlertsConfig(console=False))

    def call(*args):
        command = [sys.executable, "-m", "tracker", "--db", url, "alerts", *args]
        return subprocess.run(command, capture_output=True, text=True)

    return call


def test_an_alert_from_open_to_resolved(tracker):
    listed = tracker("list")
    assert (listed.returncode, listed.stderr) == (0, "")
    assert listed.stdout.startswith("1  open")
    assert "000000000005 is worse on gpu-1: 1 series" in listed.stdout
    assert tracker("ack", "1", "--note", "bisecting").stdout == "alert 1 is acked\n"
    assert "bisecting" in tracker("show", "1").stdout
    again = tracker("ack", "1")
    assert again.returncode == 2
    assert "cannot ack an alert that is acked; possible: expect, resolve" in again.stderr
    assert tracker("resolve", "1").stdout == "alert 1 is resolved\n"
    assert tracker("list").stdout == "no alerts\n"
    (alert,) = json.loads(tracker("list", "--state", "resolved", "--json").stdout)
    shown = json.loads(tracker("show", "1", "--json").stdout)
    evidence = shown.pop("evidence")
    assert alert == shown
    assert [change["after"] for change in evidence["findings"][0]["changes"]] == [150]
    assert (alert["state"], alert["num_series"], alert["project"]) == ("resolved", 1, "engine")
    assert len(alert["note"].splitlines()) == 2
    assert len(json.loads(tracker("list", "--state", "all", "--json").stdout)) == 1
    assert tracker("expect", "1").returncode == 2


def test_what_is_not_there_is_named(tracker):
    done = tracker("show", "99")
    assert done.returncode == 2
    assert "no alert 99" in done.stderr
    assert tracker("list", "--project", "engin").returncode == 2
    assert tracker("list", "--state", "closed").returncode == 2
    assert "is not a valid integer" in tracker("show", "x").stderr
