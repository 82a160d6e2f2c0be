"""A series is searched again where something that its shifts follow from has changed, else not."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from sqlalchemy import text

from tests.tracker.changepoints.histories import noisy, revision
from tests.tracker.changepoints.stores import SPEED, STEPS, TTFT, record, record_history
from tracker import changepoints, shifts
from tracker.changepoints import analyze
from tracker.domain import RevisionRecord, Search
from tracker.store import Store, queries
from tracker.store.derived import rebuild
from tracker.store.dump import export_store, import_store
from tracker.stored_findings import stored_findings


@pytest.fixture
def store():
    with Store.open("sqlite://") as opened:
        record_history(opened, {TTFT: noisy(1.0, 20) + noisy(1.5, 20)}, driver="1")
        for number, value in enumerate(noisy(2.0, 20), start=40):
            record(opened, number, {TTFT: value}, driver="2")
        record_history(opened, {SPEED: noisy(9.0, 30), STEPS: [7] * 20 + [12] * 10}, machine="b")
        yield opened


@pytest.fixture
def searched(store, monkeypatch):
    """The names of the benchmarks searched since the store was looked at first."""
    names = []

    def noted(history):
        names.append(history.series.benchmark.rpartition("_")[2])
        return shifts.find_shifts(history)

    monkeypatch.setattr(changepoints, "find_shifts", noted)
    first = analyze(store)
    assert sorted(names) == ["speed", "steps", "ttft"]
    assert (len(first.findings), [move.cause for move in first.moves]) == (2, ["driver"])
    names.clear()
    return names


def afresh(store):
    """What a search of every series finds."""
    store.write(lambda tx: tx.conn.execute(text("DELETE FROM detection")))
    return analyze(store)


def test_an_unchanged_store_is_not_searched(store, searched):
    again = analyze(store)
    assert searched == []
    assert again == afresh(store)
    assert len(searched) == 3
    assert stored_findings(store, "engine") == again.findings


def test_a_new_point_is_looked_at_in_its_series_only(store, searched):
    record(store, 60, {TTFT: 2.0}, driver="2")
    grown = analyze(store)
    assert searched == ["ttft"]
    assert grown == afresh(store)


def test_the_choice_of_series_is_searched_alone(store, searched):
    record(store, 60, {TTFT: 2.0}, driver="2")
    analyze(store, machine="b")
    analyze(store, search="speed")
    assert searched == []
    analyze(store)
    assert searched == ["ttft"]


def test_a_second_attempt_at_an_old_commit_is_looked_at(store, searched):
    record(store, 4, {STEPS: 90.0}, machine="b", hour=5)
    assert analyze(store) == afresh(store)
    assert searched[:1] == ["steps"]


def test_a_known_commit_measured_late_is_looked_at_where_it_is_new(store, searched):
    record(store, 45, {STEPS: 5}, machine="b")
    assert analyze(store) == afresh(store)
    assert searched[:-3] == ["steps"]


def test_an_old_commit_that_was_not_known_is_looked_at(store, searched):
    record(store, -1, {STEPS: 90}, machine="b")
    found = analyze(store)
    assert revision(0).commit in {finding.revision.commit for finding in found.findings}
    assert found == afresh(store)


def test_commits_that_change_places_are_looked_at(store_url):
    """Commits of one second are in order of their hash until their parents are known."""
    with Store.open(store_url) as store:
        moment = revision(0).committed_at
        commits = [revision(number).commit for number in range(30)]
        store.record_revisions("engine", [RevisionRecord(commit, moment) for commit in commits])
        record_history(store, {STEPS: [7] * 15 + [12] * 15})
        assert [f.revision.commit for f in analyze(store).findings] == [commits[15]]
        backwards = [
            RevisionRecord(commit, moment, parents=(parent,))
            for commit, parent in pairwise(commits)
        ]
        store.record_revisions("engine", backwards)
        found = analyze(store)
        assert [f.revision.commit for f in found.findings] == [commits[14]]
        assert found == afresh(store)


def test_another_algorithm_searches_all(store, searched, monkeypatch):
    monkeypatch.setattr(shifts, "ALGORITHM", "another-1")
    analyze(store)
    assert sorted(searched) == ["speed", "ttft"]
    monkeypatch.setattr(changepoints, "RULES", -1)
    searched.clear()
    analyze(store)
    assert sorted(searched) == ["speed", "steps", "ttft"]
    searched.clear()
    analyze(store)
    assert searched == []


@pytest.mark.parametrize("told", [{"better": None}, {"kind": "timing"}, {"step": 3.0}])
def test_what_is_said_of_the_metric_counts(store, searched, told):
    store.record_benchmarks("engine", [replace(STEPS, **told)])
    assert analyze(store) == afresh(store)
    assert searched[:1] == ["steps"]


def test_shifts_set_by_hand_do_not_stand(store, searched):
    (series,) = queries.list_series(store, "engine", search="steps")
    store.record_searches([Search(series.id, [], "by hand")])
    analyze(store)
    assert searched == ["steps"]


def test_rebuilding_what_is_derived_searches_all(store, searched):
    store.write(rebuild)
    analyze(store)
    assert len(searched) == 3


def test_merged_stores_are_searched(store, searched, tmp_path):
    export_store(store, tmp_path / "dump.jsonl")
    import_store(store, tmp_path / "dump.jsonl")
    analyze(store)
    assert len(searched) == 3


def test_whatever_comes_the_answer_is_that_of_a_search_afresh(store_url):
    rng = np.random.default_rng(3)
    with Store.open(store_url) as store:
        record_history(store, {TTFT: noisy(1.0, 12), STEPS: [7] * 12})
        for hour in range(2, 14):
            number, driver = int(rng.integers(40)), str(rng.integers(2))
            some = [one for one in (TTFT, STEPS) if rng.random() < 0.7]
            record(
                store,
                number,
                {one: float(rng.choice([1.0, 7.0, 12.0])) for one in some},
                hour=hour,
                driver=driver,
            )
            found = analyze(store)
            assert found == analyze(store) == afresh(store)
