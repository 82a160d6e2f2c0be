"""Change points out of a store and into it."""

import pytest

from tests.tracker.changepoints.histories import noisy, revision
from tests.tracker.changepoints.stores import SPEED, STEPS, TTFT, record, record_history
from tracker import changepoints
from tracker.changepoints import analyze
from tracker.errors import MeasurementError, UsageError
from tracker.store import Store, queries
from tracker.store.derived import rebuild
from tracker.stored_findings import stored_findings


@pytest.fixture
def store(tmp_path):
    with Store.open(f"sqlite:///{tmp_path}/store.db") as opened:
        yield opened


def slower(at=20, after=20):
    return {
        TTFT: noisy(0.010, at) + noisy(0.012, after),
        SPEED: noisy(900.0, at) + noisy(700.0, after),
        STEPS: [141] * at + [150] * after,
    }


def test_shifts_are_grouped_by_commit_and_kept(store):
    record_history(store, slower())
    analysis = analyze(store)
    (finding,) = analysis.findings
    assert finding.revision.commit == revision(20).commit
    assert finding.direction == "worse"
    assert {change.series.benchmark for change in finding.of("worse")} == {
        TTFT.name,
        SPEED.name,
        STEPS.name,
    }
    assert (analysis.num_series, analysis.num_points, analysis.num_shifts) == (3, 120, 3)
    for series in queries.list_series(store, "engine"):
        (shift,) = queries.history(store, series.id).shifts
        assert shift.revision.commit == revision(20).commit
    assert stored_findings(store, "engine") == analysis.findings


def test_a_second_look_replaces_the_shifts(store):
    record_history(store, slower())
    assert analyze(store) == analyze(store)
    assert len(stored_findings(store, "engine")) == 1
    for number in range(40, 80):
        record(store, number, {STEPS: 141})
    (first, second) = analyze(store, search="steps").findings
    assert first.changes[0].shift.recovered
    assert second.direction == "better"
    again = {finding.revision.commit: finding for finding in stored_findings(store, "engine")}
    assert [
        c.shift.recovered for c in again[revision(20).commit].changes if c.series.kind == "exact"
    ] == [True]


def test_a_new_driver_is_no_regression(store):
    values = noisy(0.010, 20) + noisy(0.015, 20)
    store.record_project("engine")
    store.record_benchmarks("engine", [TTFT])
    for number, value in enumerate(values):
        record(store, number, {TTFT: value}, driver="550" if number < 20 else "560")
    analysis = analyze(store)
    assert (analysis.findings, analysis.num_segments) == ((), 2)


def test_a_new_version_is_another_series(store):
    record_history(store, {TTFT: noisy(0.010, 20)})
    from dataclasses import replace

    second = replace(TTFT, version="2")
    store.record_benchmarks("engine", [second])
    for number, value in enumerate(noisy(0.020, 20)):
        record(store, 20 + number, {second: value})
    analysis = analyze(store)
    assert (analysis.findings, analysis.num_series) == ((), 2)


def test_gaps_are_counted_and_not_filled(store):
    values = noisy(0.010, 20) + noisy(0.012, 20)
    values[5] = values[25] = None
    record_history(store, {TTFT: values, SPEED: [None] * 3})
    analysis = analyze(store)
    assert analysis.findings[0].revision.commit == revision(20).commit
    assert (analysis.num_missing, analysis.num_without_values) == (5, 1)


def test_the_choice_of_series(store):
    record_history(store, slower())
    record_history(store, slower(), machine="gpu-2")
    record_history(store, slower(), project="other", machine="lab")
    assert len(analyze(store).findings) == 3
    assert [f.machine for f in analyze(store, machine="gpu-2").findings] == ["gpu-2"]
    assert [f.project for f in analyze(store, project="other").findings] == ["other"]
    assert analyze(store, search="ttft").num_series == 3


def test_a_choice_of_nothing_is_named(store):
    record_history(store, slower())
    with pytest.raises(UsageError, match="no project 'engin' in the store; did you mean 'engine'"):
        analyze(store, project="engin")
    with pytest.raises(UsageError, match="no series fits --search zzz"):
        analyze(store, search="zzz")
    with pytest.raises(UsageError, match="no series fits --machine gpu-9"):
        analyze(store, machine="gpu-9")


def test_an_empty_store_is_nothing_measured(store):
    with pytest.raises(MeasurementError, match="has no series"):
        analyze(store)
    store.record_project("engine")
    with pytest.raises(MeasurementError, match="has no series"):
        analyze(store, project="engine")


def test_progress_counts_series(store):
    record_history(store, slower())
    seen = []
    analyze(store, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_several_processes_find_what_one_finds(store, monkeypatch):
    monkeypatch.setattr(changepoints, "_WORTH_PROCESSES", 0)
    record_history(store, slower())
    record_history(store, slower(after=12), machine="b")
    several = analyze(store, processes=2)
    assert several.num_series == 6
    assert several.findings
    assert analyze(store) == several  # as stored
    store.write(rebuild)  # forgets what was searched
    assert analyze(store) == several
