"""What a paired run says of alerts that are open already."""

import pytest

from tests.tracker.alerts.samples import move_alert
from tests.tracker.changepoints.histories import noisy, revision
from tests.tracker.changepoints.stores import STEPS, TTFT, record_history
from tracker.alerts import AlertsConfig, alert_for_gate, notify
from tracker.changepoints import analyze
from tracker.domain import VerdictInfo
from tracker.store import Store, queries

QUIET = AlertsConfig(console=False)


@pytest.fixture
def store():
    with Store.open("sqlite://") as opened:
        record_history(opened, {TTFT: noisy(0.010, 20) + noisy(0.012, 20)})
        yield opened


def judge(store, status, exit_code=0, base=19, metrics=(TTFT.name,)):
    """One gate of commit 20 against `base`."""
    opened = store.begin_gate(
        "engine",
        base=revision(base).commit,
        head=revision(20).commit,
        machine="gpu-1",
        policy={},
    )
    effect = 0.001 if status == "pass" else 0.1
    verdicts = [
        VerdictInfo(
            opened,
            metric,
            "s",
            "lower",
            "timing",
            status,
            effect,
            effect - 0.05,
            effect + 0.05,
            8,
            1.0,
            1.1,
            0.02,
        )
        for metric in metrics
    ]
    store.finish_gate(opened, exit_code, verdicts, 8)
    return opened


def look(store):
    return notify(store, "engine", QUIET, findings=analyze(store).findings)


def test_a_refuted_finding_raises_none(store):
    judge(store, "pass")
    assert look(store).opened == ()
    assert notify(store, "engine", QUIET).opened == ()  # from what the store holds as well


def test_an_open_alert_that_is_refuted_is_resolved_with_the_reason(store):
    (alert,) = look(store).opened
    gate = judge(store, "pass")
    (closed,) = look(store).closed
    assert (closed.id, closed.state) == (alert.id, "resolved")
    assert closed.note.endswith(
        f"Z resolved: refuted by a paired run against {revision(19).commit[:12]} (gate {gate})"
    )
    again = look(store)
    assert (again.opened, again.closed) == ((), ())
    assert queries.get_alert(store, alert.id) == closed


def test_an_alert_that_is_not_yet_sent_is_not_sent_once_it_is_refuted(store, capsys):
    look(store)
    judge(store, "pass")
    notify(store, "engine", AlertsConfig(console=True))
    assert capsys.readouterr().err == ""


def test_who_took_it_up_closes_it(store):
    (alert,) = look(store).opened
    move_alert(store, alert.id, "ack")
    judge(store, "pass")
    assert look(store).closed == ()
    look(store)
    acked = queries.get_alert(store, alert.id)
    assert acked.state == "acked"
    assert acked.note.count("refuted by a paired run") == 1


def test_what_a_gate_has_called_stays_open(store):
    gate = queries.get_gate(store, judge(store, "regression", exit_code=1, base=10))
    alert = alert_for_gate(store, gate)
    judge(store, "pass")
    assert look(store).closed == ()
    held = queries.get_alert(store, alert.id)
    assert held.state == "open"
    assert "refuted by a paired run" in held.note


@pytest.mark.parametrize(("status", "lines"), [("regression", 1), ("inconclusive", 0)])
def test_what_is_confirmed_later_is_noted_once(store, status, lines):
    (alert,) = look(store).opened
    judge(store, status, exit_code=3)
    for _ in range(2):
        assert look(store).closed == ()
    held = queries.get_alert(store, alert.id)
    assert held.state == "open"
    assert (held.note or "").count("confirmed by a paired run") == lines


def test_a_series_that_no_pair_judged_keeps_it_open():
    with Store.open("sqlite://") as store:
        moved = {TTFT: noisy(0.010, 20) + noisy(0.012, 20), STEPS: [141] * 20 + [150] * 20}
        record_history(store, moved)
        look(store)
        judge(store, "pass")
        assert look(store).closed == ()
        judge(store, "pass", metrics=(TTFT.name, STEPS.name))
        assert len(look(store).closed) == 1
