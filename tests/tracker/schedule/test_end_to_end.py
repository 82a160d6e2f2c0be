"""`tracker schedule --once` as cron calls it, with asv measuring."""

import json
import os
import subprocess
import sys
import time

import pytest

from tests.tracker.schedule.projects import clone, commit, make_project


@pytest.mark.e2e
def test_a_push_is_measured_and_alerts(tmp_path):
    remote = make_project(tmp_path / "remote")
    commit(remote, 100)
    here = clone(remote, tmp_path / "here")
    environment = {
        **os.environ,
        "HOME": str(tmp_path),
        "PACEKEEPER_DB": f"sqlite:///{tmp_path}/s.db",
    }

    def tracker(*args):
        done = subprocess.run(
            [sys.executable, "-m", "tracker", *args],
            cwd=here,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done

    once = ("schedule", "--once", "--interval", "1s", "--nightly", "off", "--machine", "lab")
    assert "job 1, run of " in tracker(*once).stderr
    culprit = commit(remote, 150)
    time.sleep(1.1)
    done = tracker(*once)
    assert f"run of {culprit[:12]} for tracker schedule goes to local" in done.stderr
    assert f"alert 1 [engine] {culprit[:12]} is worse on lab" in done.stderr
    (alert,) = json.loads(tracker("alerts", "list", "--json").stdout)
    assert (alert["commit"], alert["worst_effect"]) == (culprit, 0.5)
    # The paired run of the new regression, with asv as well: exact metrics need one pair.
    assert f"confirm of {culprit[:12]} for tracker schedule goes to local" in done.stderr
    assert "confirmed by a paired run" in tracker("alerts", "show", "1").stdout
