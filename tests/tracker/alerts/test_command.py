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

    def command(*args):
        whole = [sys.executable, "-m", "tracker", "--db", url, *args]
        return subprocess.run(whole, capture_output=True, text=True)

    def call(*args):
        return command("alerts", *args)

    call.command = command
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


def test_every_act_of_triage_with_its_author(tracker):
    url = "https://example.org/i/1"
    for args, said in (
        (("assign", "1", "--to", "Bo", "--by", "ann"), "alert 1: assigned to Bo"),
        (("link", "1", "--issue", url, "--by", "ann"), f"alert 1: issue {url}"),
        (("comment", "1", "--note", "seen", "--by", "ann"), "alert 1: seen"),
        (("expect", "1", "--until", "2099-12-31", "--by", "ann"), "alert 1 is expected"),
        (("reopen", "1", "--by", "ann"), "alert 1 is open"),
        (("move", "1", "earlier", "--by", "ann"), "alert 1: moved earlier, from 000000000005"),
        (("fix", "1", "0" * 12, "--by", "ann"), "job 1 waits for tracker schedule on gpu-1"),
    ):
        done = tracker(*args)
        assert done.stdout.startswith(said), (done.stdout, done.stderr)
    alert = json.loads(tracker("show", "1", "--json").stdout)
    assert (alert["assignee"], alert["issue"], alert["fixed_by"]) == ("Bo", url, "0" * 12)
    assert alert["note"].count("(by ann)") == 7
    assert tracker("merge", "1", "--into", "1").returncode == 2
    assert "is not merged" in tracker("split", "1").stderr
    assert "write 2026-03-31" in tracker("expect", "1", "--until", "soon").stderr


def test_users_are_added_listed_and_removed(tracker):
    def user(*args):
        return tracker.command("user", *args)

    assert user("add", " Ann@Example.org", "--role", "admin", "--by", "me").stdout == (
        "ann@example.org is admin\n"
    )
    assert user("add", "ann@example.org").stdout == "ann@example.org is triager\n"
    assert user("list").stdout.startswith("triager   ann@example.org  (by ")
    assert user("remove", "ANN@example.org").stdout == "ann@example.org may read\n"
    assert user("list").stdout == ""
    assert "no user" in user("remove", "ann@example.org").stderr
    assert user("add", "nobody").returncode == 2
