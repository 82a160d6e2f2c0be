"""From shifts in a store to alerts that are opened once, sent, and triaged."""

import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.tracker.alerts.samples import move_alert
from tests.tracker.alerts.server import closed_port_url, webhook_server
from tests.tracker.changepoints.histories import noisy, revision
from tests.tracker.changepoints.stores import STEPS, TTFT, record, record_history
from tracker.alerts import AlertsConfig, alert_for_gate, notify
from tracker.alerts import sinks as sinks_module
from tracker.changepoints import analyze
from tracker.domain import VerdictInfo
from tracker.errors import UsageError
from tracker.gate.course import Course
from tracker.report import Missing
from tracker.store import Store, queries

QUIET = AlertsConfig(console=False)


@pytest.fixture
def store(tmp_path):
    with Store.open(f"sqlite:///{tmp_path}/store.db") as opened:
        yield opened


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(sinks_module.time, "sleep", lambda seconds: None)


def regressed(store, **where):
    series = {TTFT: noisy(0.010, 20) + noisy(0.012, 20), STEPS: [141] * 20 + [150] * 20}
    record_history(store, series, **where)
    analyze(store)


def all_alerts(store, project="engine"):
    return queries.list_alerts(store, project, states=("open", "acked", "expected", "resolved"))


def test_one_alert_over_all_series_and_never_a_second(store):
    regressed(store)
    first = notify(store, "engine", QUIET)
    (alert,) = first.opened
    assert (alert.num_series, alert.revision.commit) == (2, revision(20).commit)
    assert alert.worst_effect == pytest.approx(0.2, abs=0.01)
    assert notify(store, "engine", QUIET).opened == ()
    move_alert(store, alert.id, "resolve")
    analyze(store)
    assert notify(store, "engine", QUIET).opened == ()
    assert len(all_alerts(store)) == 1


def test_findings_in_hand_and_findings_in_the_store_alert_alike(store):
    regressed(store)
    opened = notify(store, "engine", QUIET, findings=analyze(store).findings).opened
    assert len(opened) == 1
    assert notify(store, "engine", QUIET).opened == ()


def test_projects_and_machines_alert_apart(store):
    regressed(store)
    regressed(store, machine="gpu-2")
    regressed(store, project="other")
    findings = analyze(store).findings
    assert len(findings) == 3
    assert len(notify(store, "engine", QUIET, findings=findings).opened) == 2
    assert len(notify(store, "other", QUIET, findings=findings).opened) == 1


def test_imported_history_does_not_alert(store):
    regressed(store)
    record(store, 60, {STEPS: 150})
    assert notify(store, "engine", QUIET).opened == ()
    assert len(notify(store, "engine", AlertsConfig(console=False, max_age_days=90)).opened) == 1


def test_an_alert_is_sent_once_and_the_note_says_so(store):
    regressed(store)
    stream = io.StringIO()
    with webhook_server(200) as (url, received):
        for _ in range(2):
            result = notify(
                store, "engine", AlertsConfig(webhook=url, allow_private=True), stream=stream
            )
            assert result.failures == ()
    assert len(received) == 1
    assert stream.getvalue().count("alert ") == 1
    (alert,) = all_alerts(store)
    assert [event.text for event in alert.history] == [
        "delivered to console",
        "delivered to webhook",
    ]
    assert received[0][1]["pacekeeper"]["alert"]["key"] == alert.key


def test_a_failed_delivery_is_noted_and_made_up_for(store):
    regressed(store)
    config = AlertsConfig(console=False, webhook=closed_port_url(), allow_private=True)
    (failure,) = notify(store, "engine", config).failures
    assert (failure.sink, failure.alert_id) == ("webhook", all_alerts(store)[0].id)
    (alert,) = all_alerts(store)
    assert alert.state == "open"
    assert "not delivered to webhook (no connection: Connection refused, 3 tries)" in alert.note
    assert "s3cret" not in alert.note
    with webhook_server(500, 200) as (url, received):
        now_reachable = replace(config, webhook=url)
        notify(store, "engine", now_reachable)  # too early for another try
        assert received == []
        later = datetime.now(UTC) + timedelta(minutes=1)
        result = notify(store, "engine", now_reachable, now=later)
    assert (result.opened, result.failures, len(received)) == ((), (), 2)
    (alert,) = all_alerts(store)
    assert len(alert.note.splitlines()) == 2
    assert alert.note.endswith(" delivered to webhook")


def test_a_dead_webhook_is_tried_for_one_alert_only(store):
    regressed(store)
    regressed(store, machine="gpu-2")
    with webhook_server(500) as (url, received):
        failures = notify(
            store, "engine", AlertsConfig(console=False, webhook=url, allow_private=True)
        ).failures
    assert len(failures) == 2
    assert len(received) == 3
    assert all("not delivered to webhook" in alert.note for alert in all_alerts(store))


def test_an_unset_variable_fails_the_delivery_and_nothing_else(store, monkeypatch):
    monkeypatch.delenv("PACEKEEPER_WEBHOOK", raising=False)
    regressed(store)
    config = AlertsConfig(console=False, webhook="$PACEKEEPER_WEBHOOK", allow_private=True)
    (failure,) = notify(store, "engine", config).failures
    assert failure.reason == "environment variable PACEKEEPER_WEBHOOK is not set"
    with webhook_server(200) as (url, received):
        monkeypatch.setenv("PACEKEEPER_WEBHOOK", url)
        later = datetime.now(UTC) + timedelta(minutes=1)
        assert notify(store, "engine", config, now=later).failures == ()
    assert len(received) == 1


def test_triage_while_sending_is_kept(store, monkeypatch):
    regressed(store)

    def acks_meanwhile(sink, message, reference):
        move_alert(store, message.alert.id, "ack", note="mine")

    monkeypatch.setattr(sinks_module.WebhookSink, "send", acks_meanwhile)
    notify(store, "engine", AlertsConfig(console=False, webhook="https://chat.example/x"))
    (alert,) = all_alerts(store)
    assert alert.state == "acked"
    assert "acked: mine" in alert.note
    assert alert.note.endswith("delivered to webhook")


def test_what_is_triaged_is_not_sent_any_more(store):
    regressed(store)
    notify(
        store, "engine", AlertsConfig(console=False, webhook=closed_port_url(), allow_private=True)
    )
    move_alert(store, all_alerts(store)[0].id, "ack")
    with webhook_server(200) as (url, received):
        notify(store, "engine", AlertsConfig(console=False, webhook=url, allow_private=True))
    assert received == []


def finished_gate(store, status="regression"):
    record_history(store, {TTFT: [0.010, 0.012]})
    gate_id = store.begin_gate(
        "engine",
        base=revision(0).commit,
        head=revision(1).commit,
        machine="gpu-1",
        policy={},
    )
    verdict = VerdictInfo(
        gate_id, TTFT.name, "s", "lower", "timing", status, 0.2, 0.18, 0.22, 6, 0.010, 0.012, 0.01
    )
    store.finish_gate(gate_id, 1, [verdict], pairs=6)
    return queries.get_gate(store, gate_id)


def test_a_gate_opens_one_alert_and_sends_it(store):
    gate = finished_gate(store)
    stream = io.StringIO()
    alert = alert_for_gate(store, gate, AlertsConfig(), stream=stream)
    assert alert.revision.commit == revision(1).commit
    assert alert.note.endswith("delivered to console")
    assert "1 metric, most bench.Chat.track_ttft +20.00%" in stream.getvalue()
    assert alert_for_gate(store, gate, AlertsConfig(), stream=stream) is None
    assert len(all_alerts(store)) == 1


def test_a_gate_without_a_configuration_leaves_sending_to_notify(store):
    assert alert_for_gate(store, finished_gate(store)).note is None
    with webhook_server(200) as (url, received):
        notify(store, "engine", AlertsConfig(console=False, webhook=url, allow_private=True))
    assert len(received) == 1


def test_a_gate_that_passes_opens_nothing(store):
    assert alert_for_gate(store, finished_gate(store, "pass"), QUIET) is None
    assert all_alerts(store) == []


def gate_of(store, base, head, *, broken=(), status="pass"):
    """A finished gate of two of four commits; it broke some metrics, or gave TTFT a verdict."""
    ends = {"base": revision(base).commit, "head": revision(head).commit}
    gate_id = store.begin_gate("engine", **ends, machine="gpu-1", policy={})
    missing = [Missing(metric, "head", "RuntimeError", fails=True) for metric in broken]
    verdict = VerdictInfo(
        gate_id, TTFT.name, "s", "lower", "timing", status, 0.2, 0.18, 0.22, 6, 0.010, 0.012, 0.01
    )
    store.finish_gate(
        gate_id, 1 if broken else 0, [] if broken else [verdict], pairs=6,
        outcome="broken" if broken else status, course=Course(missing=missing).as_dict(),
    )  # fmt: skip
    return queries.get_gate(store, gate_id)


@pytest.mark.parametrize(
    ("again", "state"), [(1, "resolved"), (2, "fixed"), (0, "open")], ids=["same", "later", "other"]
)
def test_a_later_gate_that_runs_what_a_commit_broke_closes_its_alert(store, again, state):
    def is_ancestor(first, second):
        return first <= second

    record_history(store, {TTFT: [0.010, 0.012, 0.010, 0.010]})
    broken = gate_of(store, 0, 1, broken=[TTFT.name])
    alert = alert_for_gate(store, broken, QUIET)
    assert alert.state == "open" and "breaks 1 metric" in alert.title
    assert alert_for_gate(store, gate_of(store, 0, 1, broken=[TTFT.name])) is None
    healthy = gate_of(store, 3, again)
    alert_for_gate(store, healthy, is_ancestor=is_ancestor)
    after = queries.get_alert(store, alert.id)
    assert after.state == state
    assert (f"gate {healthy.id}" in (after.note or "")) is (state != "open")


def test_an_alert_stays_open_while_a_broken_metric_is_not_measured(store):
    record_history(store, {TTFT: [0.010, 0.012, 0.010, 0.010]})
    alert = alert_for_gate(store, gate_of(store, 0, 1, broken=["x", TTFT.name]), QUIET)
    alert_for_gate(store, gate_of(store, 0, 1))
    assert queries.get_alert(store, alert.id).state == "open"


def test_the_note_keeps_every_move(store):
    regressed(store)
    (alert,) = notify(store, "engine", QUIET).opened
    move_alert(store, alert.id, "ack", note="looking")
    moved = move_alert(store, alert.id, "expect", note="pays for itself")
    assert moved.state == "expected"
    assert moved.note.splitlines() == [
        "2026-03-01T12:00:00Z acked: looking (by ann)",
        "2026-03-01T12:00:00Z expected: pays for itself (by ann)",
    ]
    with pytest.raises(UsageError, match="cannot expect an alert that is expected"):
        move_alert(store, alert.id, "expect")
    with pytest.raises(UsageError, match="no alert 99"):
        move_alert(store, 99, "ack")
