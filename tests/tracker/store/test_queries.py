"""Questions: what comes back, in which order, and at how many statements."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import event

from tests.tracker.store.values import (
    BENCHMARKS,
    START,
    commit,
    committed_at,
    file_of,
    measurement,
)
from tracker.domain import (
    Fingerprint,
    LevelShift,
    Problem,
    RevisionInfo,
    RevisionRecord,
    Search,
    SeriesFilter,
)
from tracker.errors import UsageError
from tracker.metrics import MetricRule
from tracker.store import Store, queries
from tracker.store.queries.revisions import in_commit_order
from tracker.triage import SetState


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    with Store.open(store_url) as opened:
        yield opened


def fill(store: Store, numbers: range, num_benchmarks: int = 1, project: str = "p") -> None:
    for number in numbers:
        rows = (
            measurement(1.0 + number + at, benchmark=f"b.time_{at}", number=number)
            for at in range(num_benchmarks)
        )
        store.record_file(project, file_of(number, *rows), benchmarks=BENCHMARKS)


@contextmanager
def statements(store: Store) -> Iterator[list[str]]:
    seen: list[str] = []

    def note(_conn: object, _cursor: object, statement: str, *_rest: object) -> None:
        if not statement.startswith(("BEGIN", "PRAGMA", "SET")):
            seen.append(statement)

    event.listen(store._engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(store._engine, "before_cursor_execute", note)


def shift_at(store: Store, series_id: int, number: int, worse: bool | None) -> None:
    """Keep a level shift of a series of times; None: both levels have one median."""
    point = queries.history(store, series_id).points[number]
    after = {True: 2.0, False: 0.5, None: 1.0}[worse]
    shift = LevelShift(series_id, point.revision, 1.0, after, 0.1 * number, worse, "t")
    store.record_searches([Search(series_id, [shift], "t")])


def test_projects_say_what_they_hold(store: Store) -> None:
    assert queries.list_projects(store) == []
    fill(store, range(3), 2)
    store.record_project("empty", commit_url="https://x/{commit}")
    empty, full = queries.list_projects(store)
    assert (empty.name, empty.num_results, empty.machines, empty.last_measured) == (
        "empty", 0, (), None,
    )  # fmt: skip
    assert empty.commit_url == "https://x/{commit}"
    assert (full.num_results, full.num_series, full.num_revisions) == (6, 2, 3)
    assert (full.machines, full.last_measured) == (("box",), committed_at(2))
    assert queries.list_machines(store, "p") == ["box"]


def test_what_is_not_there_is_named_with_what_is(store: Store) -> None:
    with pytest.raises(UsageError, match="the store is empty"):
        queries.list_series(store, "p")
    fill(store, range(1), project="django")
    with pytest.raises(UsageError, match="did you mean 'django'"):
        queries.overview(store, "djagno")
    with pytest.raises(UsageError, match="there are: django"):
        queries.overview(store, "x")
    with pytest.raises(UsageError, match="no machine 'bax' in this project; did you mean 'box'"):
        queries.overview(store, "django", machine="bax")
    for ask in (queries.get_series, queries.history, queries.get_alert):
        with pytest.raises(UsageError, match="12345"):
            ask(store, 12345)
    with pytest.raises(UsageError, match="no gate"):
        queries.get_gate(store, "nope")


def test_series_are_searched_by_name_and_parameters(store: Store) -> None:
    rows = (
        measurement(1.0),
        measurement(1.0, benchmark="b.track_y", params=("16", "'prefill'")),
        measurement(1.0, benchmark="b.track_y", params=("16", "'Decode_100%'")),
    )
    store.record_file("p", file_of(1, *rows), benchmarks=BENCHMARKS)

    def found(**filters: object) -> list[str]:
        return [one.metric for one in queries.list_series(store, "p", **filters)]

    everything = ["b.time_x", "b.track_y(16, 'Decode_100%')", "b.track_y(16, 'prefill')"]
    assert found() == everything
    assert found(search="TRACK decode") == everything[1:2]
    assert found(search="0%") == everything[1:2]
    assert found(search="_") == everything
    assert found(search="nothing") == []
    assert found(kind="rate") == everything[1:]
    assert found(unit="seconds") == everything[:1]
    assert found(limit=2) == everything[:2]
    assert found(machine="box") == everything
    named = queries.list_series(store, "p", kind="rate")[0]
    assert (named.param_names, named.better, named.unit) == (("n", "mode"), "higher", "tokens/s")
    assert queries.get_series(store, named.id) == named


def test_history_is_in_commit_order_with_a_point_a_revision(store: Store) -> None:
    for number, minute, value in ((2, 0, 5.0), (0, 0, 1.0), (1, 0, None), (0, 9, 3.0)):
        one = measurement(value, number=number, minute=minute)
        store.record_file("p", file_of(number, one), benchmarks=BENCHMARKS)
    (series,) = queries.list_series(store, "p")
    history = queries.history(store, series.id)
    assert [point.revision.commit for point in history.points] == [commit(n) for n in range(3)]
    assert [point.value for point in history.points] == [2.0, None, 5.0]
    assert [point.status for point in history.points] == ["ok", "failed", "ok"]
    assert [point.num_attempts for point in history.points] == [2, 1, 1]
    assert history.points[0].measured_at == committed_at(0) + timedelta(minutes=9)
    assert (series.last_value, series.num_points) == (5.0, 3)
    newest = queries.history(store, series.id, limit=2).points
    assert [point.revision.commit for point in newest] == [commit(1), commit(2)]


def test_a_point_of_several_attempts_claims_no_interval(store: Store) -> None:
    one = replace(measurement(1.0), ci_low=0.9, ci_high=1.1)
    store.record_file("p", file_of(1, one), benchmarks=BENCHMARKS)
    (series,) = queries.list_series(store, "p")
    (point,) = queries.history(store, series.id).points
    assert (point.ci_low, point.ci_high) == (0.9, 1.1)
    failed = measurement(None, minute=5)
    store.record_file("p", file_of(1, failed), benchmarks=BENCHMARKS)
    (point,) = queries.history(store, series.id).points
    assert (point.status, point.value, point.ci_low) == ("ok", 1.0, 0.9)
    again = replace(one, started_at=START + timedelta(days=9))
    store.record_file("p", file_of(1, again), benchmarks=BENCHMARKS)
    (point,) = queries.history(store, series.id).points
    assert (point.num_attempts, point.ci_low) == (3, None)


def test_parents_go_before_children_whatever_the_clocks_say() -> None:
    def revision(name: str, day: int) -> RevisionInfo:
        return RevisionInfo(day, name, START + timedelta(days=day))

    a, b, c, d = revision("a", 1), revision("b", 5), revision("c", 3), revision("d", 4)
    parents = {"c": ["b"], "b": ["a", "elsewhere"], "d": ["d-1"]}
    ordered = in_commit_order([d, c, b, a], parents)
    assert [one.commit for one in ordered] == ["a", "d", "b", "c"]
    assert in_commit_order([c, b], {"b": ["c"], "c": ["b"]}) == [c, b]


def test_commits_of_one_second_are_in_the_order_of_their_parents(store: Store) -> None:
    numbers = (3, 1, 2)
    for number in numbers:
        file = replace(file_of(number, measurement(1.0)), committed_at=START)
        store.record_file("p", file, benchmarks=BENCHMARKS)
    store.record_revisions(
        "p",
        [
            RevisionRecord(commit(1), START, (commit(2),)),
            RevisionRecord(commit(2), START, (commit(3),)),
        ],
    )
    (series,) = queries.list_series(store, "p")
    points = queries.history(store, series.id).points
    assert [point.revision.commit for point in points] == [commit(n) for n in (3, 2, 1)]


def test_a_commit_without_a_value_still_orders_its_neighbours(store: Store) -> None:
    # Written within one second, as a rebase does; only the first and the last were measured.
    chain = [commit(n) for n in (7, 5, 6, 2)]
    listed = zip(chain, [(), *((parent,) for parent in chain)], strict=False)
    store.record_revisions("p", [RevisionRecord(one, START, above) for one, above in listed])
    for number in (2, 7):
        file = replace(file_of(number, measurement(1.0)), committed_at=START)
        store.record_file("p", file, benchmarks=BENCHMARKS)
    (series,) = queries.list_series(store, "p")
    points = queries.history(store, series.id).points
    assert [point.revision.commit for point in points] == [commit(7), commit(2)]


def test_a_changed_fingerprint_is_named_and_an_unknown_one_is_no_change(store: Store) -> None:
    prints = [
        Fingerprint(driver="550", torch="2.12", extra=(("numpy", "1"),)),
        None,
        Fingerprint(torch="2.12"),
        Fingerprint(driver="560", torch="2.12", gpu_count=1, extra=(("numpy", "2"),)),
    ]
    for number, fingerprint in enumerate(prints):
        store.record_file(
            "p",
            file_of(number, measurement(1.0, number=number)),
            benchmarks=BENCHMARKS,
            fingerprint=fingerprint,
        )
    (series,) = queries.list_series(store, "p")
    (change,) = queries.history(store, series.id).fingerprint_changes
    assert change.revision.commit == commit(3)
    assert change.changed == (("driver", "550", "560"), ("numpy", "1", "2"))


def test_a_revision_is_found_by_the_beginning_of_its_hash(store: Store) -> None:
    hashes = ["abc1" + "0" * 36, "abc2" + "0" * 36, "abd0" + "f" * 36]
    store.record_revisions("p", [RevisionRecord(one, START) for one in hashes])
    for ref in (hashes[0], "abc1", "ABD"):
        assert queries.resolve_revision(store, "p", ref).commit.startswith(ref.lower())
    with pytest.raises(UsageError, match=r"'abc' is ambiguous \(abc100000000, abc200000000\)"):
        queries.resolve_revision(store, "p", "abc")
    for ref in ("abc3", "HEAD", "%", "abc_"):
        with pytest.raises(UsageError, match="not in the store"):
            queries.resolve_revision(store, "p", ref)
    with pytest.raises(UsageError, match="empty"):
        queries.resolve_revision(store, "p", " ")


def test_compare_puts_two_revisions_side_by_side(store: Store) -> None:
    base = (measurement(1.0, number=1), measurement(2.0, benchmark="b.old", number=1))
    head = (measurement(None, benchmark="b.track_y", number=2), measurement(4.0, number=2))
    store.record_file("p", file_of(1, *base), benchmarks=BENCHMARKS)
    store.record_file("p", file_of(1, measurement(2.0, number=1, minute=1)), benchmarks=BENCHMARKS)
    store.record_file("p", file_of(2, *head), benchmarks=BENCHMARKS)
    old, both, failed = queries.compare(store, "p", commit(1), "00000002")
    assert (both.base, both.head, both.base_values) == (1.5, 4.0, (1.0, 2.0))
    assert both.effect == pytest.approx(4 / 1.5 - 1)
    assert (old.head, old.head_status) == (None, None)
    assert (failed.head, failed.head_status, failed.base_status) == (None, "failed", None)
    (only,) = queries.compare(store, "p", commit(1), commit(2), SeriesFilter(search="time"))
    assert only == both


def test_paired_values_are_those_of_the_gate_between_the_two(store: Store) -> None:
    revisions = [RevisionRecord(commit(number), committed_at(number)) for number in (1, 2, 3)]
    store.record_revisions("p", revisions)
    gates = {
        head: store.begin_gate("p", base=commit(1), head=commit(head), machine="box", policy={})
        for head in (2, 3)
    }
    minute = 0
    for head, pairs in ((2, [(1.0, 1.1), (1.2, None), (1.4, 1.5)]), (3, [(9.0, 9.5)])):
        for pair, values in enumerate(pairs):
            for arm, number, value in zip(("base", "head"), (1, head), values, strict=True):
                minute += 1
                store.record_file(
                    "p",
                    file_of(number, measurement(value, number=number, minute=minute)),
                    benchmarks=BENCHMARKS,
                    source="gate",
                    gate_id=gates[head],
                    pair=pair,
                    arm=arm,
                )
    store.record_file(
        "p", file_of(2, measurement(5.0, number=2, minute=500)), benchmarks=BENCHMARKS
    )
    (answer,) = queries.paired_values(store, "p", commit(1), commit(2), gate_id=gates[2]).values()
    assert answer.pairs == ((1.0, 1.1), (1.4, 1.5))
    assert answer.numbers == (0, 2)
    assert (answer.base, answer.head) == ((9.0,), (5.0,))
    assert answer.series.metric == "b.time_x"
    assert queries.paired_values(store, "p", commit(2), commit(3)).keys() == {"b.time_x"}


def test_series_of_one_name_are_told_apart(store: Store) -> None:
    for number in (1, 2):
        for env_name in ("conda", "virtualenv"):
            file = file_of(number, measurement(1.0, number=number), env_name=env_name)
            store.record_file("p", file, benchmarks=BENCHMARKS)
    names = queries.paired_values(store, "p", commit(1), commit(2)).keys()
    assert names == {"b.time_x [conda, box]", "b.time_x [virtualenv, box]"}


def test_the_overview_shows_shifts_that_still_stand(store: Store) -> None:
    fill(store, range(4), 4)
    store.record_metric_rules("p", [MetricRule("time_", better="lower")])
    ids = [one.id for one in queries.list_series(store, "p")]
    for series_id, number, worse in ((ids[0], 1, True), (ids[1], 2, True), (ids[2], 3, False)):
        shift_at(store, series_id, number, worse)
    shift_at(store, ids[3], 1, None)
    found = queries.overview(store, "p")
    assert [series.id for series, _ in found.worse] == [ids[1], ids[0]]
    assert [series.id for series, _ in found.better] == [ids[2]]
    assert found.newest is not None
    assert found.newest.commit == commit(3)
    assert queries.overview(store, "p", machine="box").worse == found.worse
    # Another version of the benchmark took over at a newer commit.
    newer = measurement(1.0, benchmark="b.time_1", version="2", number=5)
    store.record_file("p", file_of(5, newer), benchmarks=BENCHMARKS)
    assert [one.id for one, _ in queries.overview(store, "p").worse] == [ids[0]]


def test_the_overview_counts_failures_at_the_newest_measured_revision(store: Store) -> None:
    fill(store, range(2), 3)
    results = (
        measurement(None, benchmark="b.time_0", number=2),
        measurement(None, benchmark="b.time_1", number=2, status="timeout"),
        measurement(None, benchmark="b.time_2", number=2, status="skipped"),
    )
    store.record_file("p", file_of(2, *results), benchmarks=BENCHMARKS)
    store.record_revisions("p", [RevisionRecord(commit(9), committed_at(9))])  # not measured
    store.record_problems("p", [Problem("f", "torn")])
    found = queries.overview(store, "p")
    assert (found.newest.commit if found.newest else None, found.num_failed_last) == (commit(2), 2)
    assert [one.reason for one in found.problems] == ["torn"]
    again = measurement(1.0, benchmark="b.time_0", number=2, minute=9)
    store.record_file("p", file_of(2, again), benchmarks=BENCHMARKS)
    assert queries.overview(store, "p").num_failed_last == 1


def test_gates_of_a_revision_against_itself_are_the_calibration(store: Store) -> None:
    store.record_revisions("p", [RevisionRecord(commit(n), committed_at(n)) for n in (1, 2)])
    assert queries.calibration(store, "p").upper_bound is None
    for head, code in ((1, 0), (1, 1), (1, 3), (1, 4), (2, 1)):
        gate = store.begin_gate("p", base=commit(1), head=commit(head), machine="box", policy={})
        store.finish_gate(gate, code, [], pairs=1)
    store.begin_gate("p", base=commit(1), head=commit(1), machine="box", policy={})
    found = queries.overview(store, "p").calibration
    assert (found.gates, found.false_blocks) == (3, 1)
    assert len(queries.list_gates(store, "p", limit=2)) == 2


def test_alerts_are_listed_by_state_newest_first(store: Store) -> None:
    store.record_project("q")
    ids = [store.open_alert("p", key=str(at), title="t", detail="d")[0] for at in range(3)]
    store.triage([ids[0]], SetState("resolve"), by="ann", now=START)
    store.triage([ids[1]], SetState("ack"), by="ann", now=START)
    assert [one.id for one in queries.list_alerts(store, "p")] == [ids[2], ids[1]]
    assert [one.id for one in queries.list_alerts(store, states=("resolved",))] == [ids[0]]
    assert queries.list_alerts(store, "q") == []


def test_pages_take_as_many_statements_whatever_the_store_holds(store: Store) -> None:
    def cost() -> list[int]:
        counts = []
        series_id = queries.list_series(store, "p")[0].id
        for ask in (
            lambda: queries.overview(store, "p"),
            lambda: queries.history(store, series_id),
            lambda: queries.list_series(store, "p"),
            lambda: queries.compare(store, "p", commit(0), commit(1)),
            lambda: queries.list_gates(store, "p"),
        ):
            with statements(store) as seen:
                ask()
            counts.append(len(seen))
        return counts

    fill(store, range(2), 1)
    shift_at(store, queries.list_series(store, "p")[0].id, 1, True)
    gate = store.begin_gate("p", base=commit(0), head=commit(1), machine="box", policy={})
    store.finish_gate(gate, 0, [], pairs=1)
    few = cost()
    fill(store, range(2, 12), 12)
    for one in queries.list_series(store, "p")[1:]:
        shift_at(store, one.id, 5, True)
    for number in range(2, 8):
        gate = store.begin_gate("p", base=commit(0), head=commit(number), machine="box", policy={})
        store.finish_gate(gate, 0, [], pairs=1)
    assert cost() == few
    assert max(few) <= 14


def test_recording_a_file_takes_as_many_statements_in_a_full_store(store: Store) -> None:
    fill(store, range(3), 6)
    with statements(store) as early:
        fill(store, range(3, 4), 6)
    fill(store, range(4, 30), 6)
    with statements(store) as late:
        fill(store, range(30, 31), 6)
    assert len(late) == len(early) <= 12


def test_every_lookup_on_the_way_in_goes_through_an_index(tmp_path: Path) -> None:
    """On SQLite, whose plans follow the schema; those of PostgreSQL follow its statistics."""
    store = Store.open(f"sqlite:///{tmp_path}/store.db")
    fill(store, range(3), 6)
    with statements(store) as seen:
        other = file_of(40, measurement(1.0, benchmark="b.new", params=("3",), number=40))
        store.record_file("p", other, benchmarks=BENCHMARKS)
    with store.reading() as connection:
        for statement in seen:
            if not statement.startswith(("SELECT", "UPDATE")):
                continue
            names = connection.exec_driver_sql(
                f"EXPLAIN QUERY PLAN {statement}", tuple(None for _ in range(statement.count("?")))
            )
            for step in (row[3] for row in names):
                # "added" is the rows of the file itself, found through an index.
                few = any(name in step for name in ("SUBQUERY", "CONSTANT", "SCAN added"))
                assert few or not step.startswith("SCAN"), (
                    step,
                    statement,
                )
    store.close()


def test_the_stamp_changes_with_a_write_and_stays_without(store: Store) -> None:
    fill(store, range(2))
    before = queries.version_stamp(store)
    queries.list_projects(store)
    assert queries.version_stamp(store) == before
    fill(store, range(2))  # the same files again change nothing on either backend's answer
    fill(store, range(2, 3))
    after = queries.version_stamp(store)
    assert after != before
    shift_at(store, queries.list_series(store, "p")[0].id, 1, worse=True)
    assert queries.version_stamp(store) != after


def test_the_newest_revisions_come_first_and_only_those_with_results(store: Store) -> None:
    fill(store, range(4))
    store.record_revisions("p", [RevisionRecord(commit(9), committed_at(9))])
    newest = queries.newest_revisions(store, "p", limit=3)
    assert [r.commit for r in newest] == [commit(3), commit(2), commit(1)]
    assert len(queries.newest_revisions(store, "p", machine="box")) == 4
    with pytest.raises(UsageError, match="no machine"):
        queries.newest_revisions(store, "p", machine="none")


def test_a_finding_is_read_from_its_shifts_and_its_commits(store: Store) -> None:
    fill(store, range(6), 3)
    ids = [series.id for series in queries.list_series(store, "p")]
    shift_at(store, ids[0], 4, worse=True)
    shift_at(store, ids[1], 4, worse=False)
    shift_at(store, ids[2], 3, worse=True)
    with statements(store) as seen:
        moved = queries.shifts_at(store, "p", commit(4))
        between = queries.commits_between(store, "p", commit(1), commit(4))
    assert [(series.id, shift.after) for series, shift in moved] == [
        (ids[0], 2.0),
        (ids[1], 0.5),
    ]
    assert [revision.commit for revision in between] == [commit(4), commit(3), commit(2)]
    assert not any(" result" in statement for statement in seen)
    # A commit of another branch lies between in time, and is no ancestor.
    for number, parent in ((4, 2), (3, 2), (2, 1)):
        store.record_revisions(
            "p", [RevisionRecord(commit(number), committed_at(number), (commit(parent),))]
        )
    between = queries.commits_between(store, "p", commit(1), commit(4))
    assert [revision.commit for revision in between] == [commit(4), commit(2)]


def test_gates_and_alerts_of_one_commit(store: Store) -> None:
    fill(store, range(4))
    for base, head in ((1, 2), (2, 2), (1, 3)):
        store.begin_gate("p", base=commit(base), head=commit(head), machine="box", policy={})
    for number in (2, 3):
        store.open_alert(
            "p", key=str(number), title="t", detail="", revision_commit=commit(number),
            num_series=1, worst_effect=0.1,
        )  # fmt: skip
    assert {g.base.commit for g in queries.list_gates(store, "p", head=commit(2))} == {
        commit(1), commit(2),
    }  # fmt: skip
    assert [a.key for a in queries.list_alerts(store, "p", commit=commit(3))] == ["3"]
    # The first page lists gates of two commits; the others count for the rate of false alarms.
    assert len(queries.overview(store, "p").gates) == 2


def test_runs_and_machines_and_the_record_of_false_alarms(store: Store) -> None:
    fill(store, range(4), 3)
    runs = queries.newest_runs(store, "p", limit=3)
    assert [run.revision.commit for run in runs] == [commit(3), commit(2), commit(1)]
    assert {(run.machine, run.num_results, run.num_failed) for run in runs} == {("box", 3, 0)}
    (use,) = queries.machine_uses(store, "p")
    assert (use.machine.name, use.num_series, use.last_measured) == ("box", 3, committed_at(3))
    assert queries.calibration_records(store, "p") == []
    for base, exit_code in ((1, 0), (1, 1), (1, 4), (2, 0)):
        gate = store.begin_gate("p", base=commit(1), head=commit(base), machine="box", policy={})
        store.finish_gate(gate, exit_code, [], 1)
    (record,) = queries.calibration_records(store, "p", machine="box")
    assert (record.counted.gates, record.counted.false_blocks) == (2, 1)
    shift_at(store, queries.list_series(store, "p")[0].id, 2, worse=True)
    searched = queries.searched_series(store, "p")
    assert (searched.num_series, searched.shifts) == (3, (("t", 1),))


def test_no_page_scans_the_results(tmp_path: Path) -> None:
    store = Store.open(f"sqlite:///{tmp_path}/store.db")
    fill(store, range(5), 3)
    series_id = queries.list_series(store, "p")[0].id
    with statements(store) as seen:
        queries.overview(store, "p", machine="box")
        queries.history(store, series_id, limit=100)
        queries.compare(store, "p", commit(1), commit(3))
        queries.attempts(store, series_id, commit=commit(3)[:8])
        queries.newest_launches(store, "p", of_gates=False)
        queries.newest_launches(store, "p", machine="box", commits=(commit(3),))
        queries.newest_revisions(store, "p", machine="box")
        queries.week(store, "p", until=committed_at(4))
        queries.shifts_at(store, "p", commit(3))
        queries.commits_between(store, "p", commit(1), commit(3))
        queries.list_gates(store, "p", head=commit(3))
        queries.newest_runs(store, "p", machine="box")
        queries.machine_uses(store, "p")
        queries.calibration_records(store, "p")
        queries.searched_series(store, "p")
    with store.reading() as connection:
        for statement in seen:
            plan = connection.exec_driver_sql(
                f"EXPLAIN QUERY PLAN {statement}", tuple(1 for _ in range(statement.count("?")))
            )
            steps = [row[3] for row in plan]
            whole = ("SCAN result", "SCAN run", "SCAN artifact", "SCAN sample")
            assert not [s for s in steps if s.startswith(whole)], (steps, statement)
            if "FROM run " in statement and "ORDER BY run.id DESC" in statement:
                # The newest come off the end of the index: nothing is sorted, and the limit ends it.
                assert not [s for s in steps if "TEMP B-TREE" in s], steps
    store.close()
