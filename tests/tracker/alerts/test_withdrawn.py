"""A level shift that later commits do not confirm is withdrawn on its alert."""

import pytest

from tests.tracker.changepoints.histories import noisy
from tests.tracker.changepoints.stores import TTFT, record, record_history
from tracker.alerts import AlertsConfig, notify
from tracker.alerts.withdrawn import WITHDRAWN
from tracker.changepoints import analyze
from tracker.domain import Search
from tracker.store import Store, queries

QUIET = AlertsConfig(console=False)


def test_a_shift_that_is_gone_is_noted_once_and_so_is_its_return():
    with Store.open("sqlite://") as store:
        record_history(store, {TTFT: noisy(0.010, 20) + noisy(0.012, 20)})
        analyze(store)
        (opened,) = notify(store, "engine", QUIET).opened
        assert WITHDRAWN not in (opened.note or "")
        (series,) = queries.list_series(store, "engine")
        shifts = queries.last_searches(store, "engine")[series.id].shifts
        store.record_searches([Search(series.id, [], "test")])
        for _ in range(2):
            notify(store, "engine", QUIET)
        note = queries.get_alert(store, opened.id).note or ""
        assert note.count(WITHDRAWN) == 1
        store.record_searches([Search(series.id, shifts, "test")])
        notify(store, "engine", QUIET)
        after = queries.get_alert(store, opened.id)
        assert (after.note or "").count("found again") == 1
        assert after.state == "open"


@pytest.mark.parametrize("points", [6, 20])
def test_a_report_disappears_only_with_a_note(points):
    """Asked after every commit: a disturbance of some commits is reported, and later withdrawn."""
    values = noisy(0.010, 60) + noisy(0.012, points) + noisy(0.010, 40)
    alerted, withdrawn = set(), set()
    with Store.open("sqlite://") as store:
        record_history(store, {TTFT: values[:55]})
        for number in range(55, len(values)):
            record(store, number, {TTFT: values[number]})
            present = {finding.revision.commit for finding in analyze(store).findings}
            notify(store, "engine", QUIET)
            for alert in queries.list_alerts(store, "engine"):
                alerted.add(alert.id)
                note = alert.note or ""
                is_withdrawn = note.rfind(WITHDRAWN) > note.rfind("found again")
                assert is_withdrawn == (alert.detected.commit not in present)
                withdrawn |= {alert.id} if is_withdrawn else set()
    assert alerted
    assert bool(withdrawn) == (points < 8)
