"""Many histories at once are those that `history` gives one by one."""

from dataclasses import replace

from tests.tracker.changepoints.histories import revision
from tests.tracker.changepoints.stores import SPEED, STEPS, TTFT, record, record_history
from tracker.changepoints import analyze
from tracker.store import Store, queries


def for_search(history):
    points = tuple(
        replace(point, ci_low=None, ci_high=None, measured_at=None) for point in history.points
    )
    return replace(history, points=points)


def filled(store):
    series = {TTFT: [1.0, 2.0, None] * 10, SPEED: [5.0] * 7, STEPS: [1.0] * 20 + [9.0] * 20}
    record_history(store, series, driver="1")
    for number in (40, 41):
        record(store, number, {TTFT: 3.0, STEPS: 9.0}, driver="2")
    record(store, 4, {TTFT: 7.0}, source="schedule")  # a second attempt of the same start
    record_history(store, {TTFT: [1.0, 2.0]}, project="other", machine="cpu")
    return [s for name in ("engine", "other") for s in queries.list_series(store, name)]


def test_they_are_those_of_each_series():
    with Store.open("sqlite://") as store:
        series = filled(store)
        analyze(store)
        many = list(queries.histories(store, series))
        assert many == [for_search(queries.history(store, one.id)) for one in series]
        assert any(history.shifts for history in many)
        assert any(history.fingerprint_changes for history in many)


def test_the_order_asked_for_is_kept():
    with Store.open("sqlite://") as store:
        series = filled(store)[::-1]
        assert [history.series for history in queries.histories(store, series)] == series
        assert list(queries.histories(store, [])) == []


def test_a_second_look_writes_nothing(monkeypatch):
    with Store.open("sqlite://") as store:
        filled(store)
        first = analyze(store)
        assert first.findings[0].revision == queries.resolve_revision(
            store, "engine", revision(20).commit
        )
        monkeypatch.setattr(Store, "record_searches", None)  # calling it would raise
        assert analyze(store) == first
