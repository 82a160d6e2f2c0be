"""The note as a log."""

from datetime import datetime, timedelta, timezone

from tests.tracker.alerts.samples import NOW
from tracker.alerts.notes import add_line, awaits_delivery


def test_lines_are_added_in_utc_and_nothing_is_lost():
    note = add_line(None, "acked: bisecting", now=NOW)
    east = datetime(2026, 3, 1, 14, tzinfo=timezone(timedelta(hours=2)))
    assert add_line(note, "resolved:\n reverted ", now=east) == (
        "2026-03-01T12:00:00Z acked: bisecting\n2026-03-01T12:00:00Z resolved: reverted"
    )


def test_what_awaits_delivery():
    failed = add_line(None, "not delivered to webhook (HTTP status 500, 3 tries)", now=NOW)
    assert awaits_delivery(None)
    assert awaits_delivery(failed)
    assert awaits_delivery(add_line(failed, "acked: delivered to whom?", now=NOW))
    sent = add_line(failed, "delivered to console, webhook", now=NOW)
    assert not awaits_delivery(sent)
    assert not awaits_delivery(add_line(sent, "acked: not delivered to me", now=NOW))
