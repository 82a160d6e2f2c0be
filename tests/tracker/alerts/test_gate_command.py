"""What `tracker gate` does beside the verdict: several reports, and an alert."""

import operator
import subprocess
import sys
from types import SimpleNamespace

import pytest

from tests.tracker.changepoints.histories import revision
from tests.tracker.changepoints.stores import TTFT, record_history
from tracker.alerts import AlertsConfig
from tracker.cli.gate import _alert
from tracker.domain import VerdictInfo
from tracker.errors import StoreError
from tracker.gate.policy import Policy
from tracker.store import Store, queries


@pytest.fixture
def store(tmp_path):
    with Store.open(f"sqlite:///{tmp_path}/store.db") as opened:
        yield opened


def finished(store, *, head=1):
    record_history(store, {TTFT: [0.010, 0.012]})
    base, other = revision(0).commit, revision(head).commit
    gate_id = store.begin_gate("engine", base=base, head=other, machine="gpu-1", policy={})
    verdict = VerdictInfo(
        gate_id, TTFT.name, "s", "lower", "timing", "regression", 0.2, 0.1, 0.3, 6, 1.0, 1.2, 0.01
    )
    store.finish_gate(gate_id, 1, [verdict], pairs=6)
    return SimpleNamespace(gate_id=gate_id, base=base, head=other, creep=None)


QUIET = Policy(alerts=AlertsConfig(console=False))


def test_a_regression_opens_an_alert_as_the_policy_says(store, capsys):
    _alert(store, finished(store), Policy(), operator.eq)
    (alert,) = queries.list_alerts(store, "engine")
    assert alert.revision.commit == revision(1).commit
    assert f"alert {alert.id} [engine]" in capsys.readouterr().err


def test_the_same_commit_twice_measures_the_gate_and_alerts_nobody(store):
    _alert(store, finished(store, head=0), QUIET, operator.eq)
    assert queries.list_alerts(store, "engine") == []


def test_a_report_that_was_not_stored_alerts_nobody(store):
    report = finished(store)
    report.gate_id = None
    _alert(store, report, QUIET, operator.eq)
    assert queries.list_alerts(store, "engine") == []


def test_a_gate_against_the_release_alerts_like_any_other(store):
    report = finished(store)
    report.creep = SimpleNamespace(gate_id=report.gate_id)
    report.gate_id = None
    _alert(store, report, QUIET, operator.eq)
    assert len(queries.list_alerts(store, "engine")) == 1


def test_the_verdict_stands_when_the_alert_cannot_be_kept(store, capsys, monkeypatch):
    def fails(*args, **kwargs):
        raise StoreError("disk full")

    report = finished(store)
    monkeypatch.setattr(Store, "open_alert", fails)
    _alert(store, report, QUIET, operator.eq)
    assert "warning: no alert was opened: disk full" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("gate.pdf", "--report gate.pdf: its suffix must be one of .txt, .md, .json, .xml"),
        ("gone/gate.md", "--report gone/gate.md: no such directory"),
    ],
)
def test_a_report_that_cannot_be_written_is_said_before_measuring(tmp_path, path, message):
    command = [sys.executable, "-m", "tracker", "gate", "a", "b", "--report", path]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
