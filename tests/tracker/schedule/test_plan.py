"""When a task is due, and how times are written."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.errors import UsageError
from tracker.schedule import parse_interval, parse_time
from tracker.schedule.plan import Daily, Due, Every, due

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.fixture(autouse=True)
def utc(monkeypatch):
    monkeypatch.setattr("apscheduler.triggers.cron.get_localzone", lambda: UTC)


@pytest.mark.parametrize(
    ("ago", "is_due"), [(None, True), (29, False), (30, True), (9999, True), (-5, True)]
)
def test_an_interval_is_due_at_once_and_after_its_seconds(ago, is_due):
    last = None if ago is None else NOW - ago * SECOND
    assert due(Every(30), last, NOW) == (Due(NOW) if is_due else None)


def test_a_daily_task_is_due_once_a_day_and_not_when_it_is_new():
    at = NOW.replace(hour=2)
    nightly = Daily(2, 0)
    assert due(nightly, None, NOW) is None
    assert due(nightly, at - SECOND, at - SECOND) is None
    assert due(nightly, at - SECOND, at) == Due(at)
    assert due(nightly, at, NOW) is None
    assert due(nightly, at - timedelta(days=1), at + timedelta(hours=5)) == Due(at)


def test_a_daily_task_that_is_late_by_hours_waits_for_the_next_day():
    at = NOW.replace(hour=2)
    last = at - timedelta(days=3)  # the service was away for days: one run, and that is too late
    assert due(Daily(2, 0), last, at + timedelta(hours=7)) == Due(at, is_missed=True)
    assert due(Daily(2, 0), at, at + timedelta(hours=7)) is None


def test_a_day_of_23_and_of_25_hours_has_one_run(monkeypatch):
    berlin = ZoneInfo("Europe/Berlin")
    monkeypatch.setattr("apscheduler.triggers.cron.get_localzone", lambda: berlin)
    for month, day in ((3, 29), (10, 25)):
        now = datetime(2026, month, day - 1, 12, tzinfo=berlin).astimezone(UTC)
        last, runs = now, []
        while now < datetime(2026, month, day + 2, 12, tzinfo=berlin):
            if (run := due(Daily(2, 30), last, now)) is not None:
                last = run.at
                runs.append(run)
            now += timedelta(minutes=10)
        assert len(runs) == 3 and not any(run.is_missed for run in runs)


@given(st.integers(0, 23), st.lists(st.integers(1, 200_000), min_size=1, max_size=40))
def test_no_day_has_two_runs_however_the_service_sleeps(hour, sleeps):
    now, last, days = NOW, NOW, []
    for seconds in sleeps:
        now += seconds * SECOND
        if (run := due(Daily(hour, 0), last, now)) is not None:
            assert last < run.at <= now
            last = run.at
            days.append(run.at.date())
    assert len(days) == len(set(days))


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("10m", 600), ("2h", 7200), ("1d", 86400)]
)
def test_intervals(text, seconds):
    assert parse_interval(text) == seconds


@pytest.mark.parametrize("text", ["", "10", "m", "0m", "-5m", "1.5h", "10 m", "10x"])
def test_what_is_no_interval(text):
    with pytest.raises(UsageError, match="is no interval; write 90s"):
        parse_interval(text)


def test_times():
    assert parse_time("02:00") == (2, 0)
    assert parse_time("23:59") == (23, 59)
    assert parse_time("off") is None


@pytest.mark.parametrize("text", ["", "2", "24:00", "02:60", "2:0", "two"])
def test_what_is_no_time(text):
    with pytest.raises(UsageError, match="is no time of day; write 02:00, or off"):
        parse_time(text)
