"""Writing: once is enough, twice is the same, and nothing is half done."""

from __future__ import annotations

import random
import threading
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from tests.tracker.store.comparison import content, table_counts
from tests.tracker.store.values import (
    BENCHMARKS,
    START,
    commit,
    committed_at,
    file_of,
    measurement,
)
from tracker.domain import (
    BenchmarkInfo,
    Fingerprint,
    LevelShift,
    MachineInfo,
    NewRun,
    Problem,
    RevisionRecord,
    Search,
    VerdictInfo,
)
from tracker.errors import StoreError, UsageError
from tracker.store import Store, queries, tables
from tracker.store.check import check_store
from tracker.store.transaction import Transaction
from tracker.store.writes import results


@pytest.fixture
def store(store_url: str) -> Store:
    opened = Store.open(store_url)
    yield opened
    opened.close()


def test_a_file_recorded_twice_adds_nothing(store: Store) -> None:
    file = file_of(1, measurement(1.5, samples=(1.0, 2.0)), measurement(None, params=("1",)))
    first = store.record_file("p", file, benchmarks=BENCHMARKS)
    before = content(store)
    second = store.record_file("p", file, benchmarks=BENCHMARKS)
    assert (first.added, first.unchanged) == (2, 0)
    assert (second.added, second.unchanged, second.run_id) == (0, 2, first.run_id)
    assert content(store) == before


def test_a_store_opened_anew_recognises_what_it_holds(store_url: str) -> None:
    file = file_of(1, measurement(1.5))
    with Store.open(store_url) as store:
        store.record_file("p", file, benchmarks=BENCHMARKS)
        before = content(store)
    with Store.open(store_url) as store:
        assert store.record_file("p", file, benchmarks=BENCHMARKS).added == 0
        assert content(store) == before


def test_a_file_that_asv_extended_adds_what_is_new(store: Store) -> None:
    old, new = measurement(1.5), measurement(7.0, benchmark="b.track_y", minute=5)
    store.record_file("p", file_of(1, old), benchmarks=BENCHMARKS)
    recorded = store.record_file("p", file_of(1, old, new), benchmarks=BENCHMARKS)
    assert (recorded.added, recorded.unchanged) == (1, 1)
    assert table_counts(store)["run"] == 2
    assert check_store(store) == []


def test_every_attempt_is_kept(store: Store) -> None:
    for minute, value in enumerate((3.0, 1.0, 2.0)):
        store.record_file("p", file_of(1, measurement(value, minute=minute)), benchmarks=BENCHMARKS)
    (series,) = queries.list_series(store, "p")
    (point,) = queries.history(store, series.id).points
    assert (point.num_attempts, point.value) == (3, 2.0)
    assert (series.num_points, series.last_value) == (1, 2.0)


def test_an_attempt_without_a_start_time_is_told_by_its_content(store: Store) -> None:
    for value in (3.0, 3.0, 4.0):
        file = replace(file_of(1, measurement(value, minute=None)), digest=f"{value}{store}"[:64])
        store.record_file("p", file, benchmarks=BENCHMARKS)
    assert table_counts(store)["result"] == 2


def test_another_value_at_the_same_start_is_a_problem_and_the_first_stays(store: Store) -> None:
    store.record_file("p", file_of(1, measurement(1.0)), benchmarks=BENCHMARKS)
    recorded = store.record_file("p", file_of(1, measurement(2.0)), benchmarks=BENCHMARKS)
    (problem,) = recorded.problems
    assert "differs from the one stored" in problem.reason
    (series,) = queries.list_series(store, "p")
    assert series.last_value == 1.0


def test_a_moved_virtual_environment_stays_the_same_series(store: Store) -> None:
    for number, path in enumerate(("py_home_me_venv_bin_python", "py_opt_venv_bin_python")):
        file = file_of(number, measurement(1.0, number=number), env_name=f"existing-{path}")
        store.record_file("p", file, benchmarks=BENCHMARKS)
    (series,) = queries.list_series(store, "p")
    assert (series.environment, series.num_points) == ("existing", 2)
    names = {row.env_name for row in queries.export_rows(store, "p")}
    assert names == {"existing-py_home_me_venv_bin_python", "existing-py_opt_venv_bin_python"}


def test_what_makes_a_series_keeps_series_apart(store: Store) -> None:
    one = measurement(1.0)
    for file in (
        file_of(1, one),
        file_of(1, replace(one, version="2")),
        file_of(1, replace(one, params=("'a'",))),
        file_of(1, one, machine="other"),
        file_of(1, one, env_name="conda"),
    ):
        store.record_file("p", file, benchmarks=BENCHMARKS)
    store.record_file("q", file_of(1, one), benchmarks=BENCHMARKS)
    assert len(queries.list_series(store, "p")) == 5
    assert len(queries.list_series(store, "q")) == 1


def test_a_file_is_written_whole_or_not_at_all(store: Store) -> None:
    store.record_project("p")
    before = table_counts(store)
    bad = file_of(1, measurement(1.0), measurement(float("nan"), params=("1",), status="ok"))
    with pytest.raises(StoreError, match="nan is no value"):
        store.record_file("p", bad, benchmarks=BENCHMARKS)
    assert table_counts(store) == before
    good = file_of(1, measurement(1.0))
    assert store.record_file("p", good, benchmarks=BENCHMARKS).added == 1
    assert check_store(store) == []


def test_the_database_itself_refuses_a_value_that_contradicts_its_status(store: Store) -> None:
    store.record_file("p", file_of(1, measurement(1.0)), benchmarks=BENCHMARKS)
    with store.reading() as connection:
        stored = dict(connection.execute(select(tables.result)).mappings().one())
    stored |= {"attempt_key": 5, "status": "failed"}
    del stored["id"]
    with pytest.raises(StoreError) as caught:
        store.write(lambda tx: tx.conn.execute(insert(tables.result).values(**stored)))
    assert isinstance(caught.value.__cause__, IntegrityError)


def test_times_go_in_with_any_zone_and_come_out_in_utc(store: Store) -> None:
    moment = datetime.fromisoformat("2024-03-01T01:30:00.123456+05:30")
    store.record_revisions("p", [RevisionRecord(commit(1), moment)])
    found = queries.resolve_revision(store, "p", commit(1))
    assert found.committed_at == moment
    assert found.committed_at.utcoffset().total_seconds() == 0
    with pytest.raises(StoreError, match="timezone"):
        store.record_revisions("p", [RevisionRecord(commit(2), moment.replace(tzinfo=None))])


def test_revisions_fill_in_what_a_file_does_not_know(store: Store) -> None:
    store.record_file("p", file_of(1, measurement(1.0)), benchmarks=BENCHMARKS)
    record = RevisionRecord(commit(1), START, (commit(0),), "Make it fast", "main")
    for _ in range(2):
        store.record_revisions("p", [record, RevisionRecord(commit(2), START)])
    found = queries.resolve_revision(store, "p", "00000001")
    assert (found.subject, found.branch) == ("Make it fast", "main")
    assert found.committed_at == committed_at(1)
    assert table_counts(store)["revision"] == 2


def test_machines_and_benchmarks_are_renewed_not_doubled(store: Store) -> None:
    store.record_machine("p", MachineInfo("box", cpu="abacus"))
    store.record_machine("p", MachineInfo("box", ram="7GB"))
    info = BENCHMARKS["b.time_x"]
    store.record_benchmarks("p", [info])
    store.record_benchmarks("p", [replace(info, better="higher", kind="exact", step=2.0)])
    store.record_file("p", file_of(1, measurement(1.0)), benchmarks=BENCHMARKS)
    (series,) = queries.list_series(store, "p")
    assert (series.better, series.kind, series.step) == ("higher", "exact", 2.0)
    assert table_counts(store)["machine"] == 1
    with store.reading() as connection:
        row = connection.execute(select(tables.machine)).one()
    assert (row.cpu, row.ram) == ("abacus", "7GB")


def test_a_benchmark_nobody_described_has_no_direction(store: Store) -> None:
    store.record_file("p", file_of(1, measurement(1.0, benchmark="b.odd")), benchmarks={})
    (series,) = queries.list_series(store, "p")
    assert (series.unit, series.better, series.kind) == ("unit", None, "other")


def test_problems_are_kept_once_and_forgotten_where_they_are_gone(store: Store) -> None:
    found = [Problem("/r/a.json", "torn"), Problem("/r/b.json", "torn", "b.x")]
    for _ in range(2):
        store.record_problems("p", found)
    store.record_problems("p", [Problem("/other/a.json", "torn")])
    assert len(queries.ingest_problems(store, "p")) == 3
    store.forget_problems("p", ["/r"], keep=found[1:])
    assert {(one.path, one.benchmark) for one in queries.ingest_problems(store, "p")} == {
        ("/r/b.json", "b.x"),
        ("/other/a.json", None),
    }


def test_an_alert_key_opens_once(store: Store) -> None:
    store.record_revisions("p", [RevisionRecord(commit(1), START)])
    facts = {"title": "TTFT worse", "detail": "by 12 %", "revision_commit": commit(1)}
    first, is_new = store.open_alert("p", key="k", num_series=3, worst_effect=0.12, **facts)
    assert is_new
    store.note_alert(first, "judged", "refuted", now=START, move="resolve")
    assert store.open_alert("p", key="k", **facts) == (first, False)
    assert store.open_alert("q", key="k", title="t", detail="d")[1]
    found = queries.get_alert(store, first)
    assert (found.state, found.history[-1].text, found.key) == (
        "resolved",
        "resolved: refuted",
        "k",
    )
    assert found.revision is not None
    assert found.revision.commit == commit(1)
    with pytest.raises(UsageError, match="no alert 99"):
        store.note_alert(99, "judged", "refuted", now=START)
    with pytest.raises(UsageError, match="record it first"):
        store.open_alert("p", key="k2", title="t", detail="d", revision_commit=commit(9))


def verdict(gate_id: str, metric: str = "b.time_x") -> VerdictInfo:
    return VerdictInfo(
        gate_id, metric, "seconds", "lower", "timing", "pass", 0.01, -0.01, 0.03, 6, 1.0, 1.01, 0.02
    )


def test_a_gate_keeps_its_verdicts_and_its_policy(store: Store) -> None:
    revisions = [RevisionRecord(commit(number), committed_at(number)) for number in (1, 2)]
    store.record_revisions("p", revisions)
    gate_id = store.begin_gate(
        "p", base=commit(1), head=commit(2), machine="box", policy={"alpha": 0.01}
    )
    assert queries.get_gate(store, gate_id).exit_code is None
    for _ in range(2):
        store.finish_gate(gate_id, 0, [verdict(gate_id), verdict(gate_id, "b.z")], pairs=6)
    found = queries.get_gate(store, gate_id)
    assert (found.exit_code, found.pairs, found.policy) == (0, 6, {"alpha": 0.01})
    assert [one.metric for one in found.verdicts] == ["b.time_x", "b.z"]
    assert found.verdicts[0] == verdict(gate_id)
    assert (found.base.commit, found.head.commit) == (commit(1), commit(2))
    with pytest.raises(UsageError, match="no gate"):
        store.finish_gate("nope", 0, [], pairs=0)
    with pytest.raises(UsageError, match="record it first"):
        store.begin_gate("p", base=commit(1), head="dead", machine="box", policy={})
    with pytest.raises(UsageError, match="no gate"):
        store.record_file(
            "p", file_of(1, measurement(1.0)), benchmarks={}, gate_id="nope", pair=0, arm="base"
        )


def test_shifts_are_replaced_whole(store: Store) -> None:
    for number in range(4):
        store.record_file(
            "p", file_of(number, measurement(1.0, number=number)), benchmarks=BENCHMARKS
        )
    (series,) = queries.list_series(store, "p")
    points = queries.history(store, series.id).points
    shifts = [
        LevelShift(series.id, points[at].revision, 1.0, after, after - 1.0, after > 1, "test")
        for at, after in ((3, 0.5), (1, 2.0))
    ]
    store.record_searches([Search(series.id, shifts, "a-1")])
    stored = queries.history(store, series.id).shifts
    assert [(shift.revision.commit, shift.algorithm) for shift in stored] == [
        (commit(1), "a-1"),
        (commit(3), "a-1"),
    ]
    assert [one.id for one, _ in queries.overview(store, "p").better] == [series.id]
    store.record_searches([Search(series.id, [], "a-2")])
    assert queries.history(store, series.id).shifts == ()


def test_equal_fingerprints_share_a_row(store: Store) -> None:
    for number in range(3):
        store.record_file(
            "p",
            file_of(number, measurement(1.0, number=number)),
            benchmarks=BENCHMARKS,
            fingerprint=Fingerprint(torch="2.13", extra=(("a", "1"),)),
        )
    assert table_counts(store)["fingerprint"] == 1


def test_writers_at_once_lose_nothing(store_url: str) -> None:
    """Sixteen threads with stores of their own, over the same files in orders of their own."""
    Store.open(store_url).close()
    files = [
        file_of(
            number,
            *(
                measurement(1.0 + number, benchmark=f"b.time_{at}", number=number)
                for at in range(8)
            ),
        )
        for number in range(15)
    ]
    failures: list[BaseException] = []

    def work(order: list[int]) -> None:
        try:
            with Store.open(store_url) as own:
                for at in order:
                    own.record_file("p", files[at], benchmarks={})
        except BaseException as error:
            failures.append(error)

    draw = random.Random(3)
    orders = [draw.sample(range(len(files)), len(files)) for _ in range(16)]
    threads = [threading.Thread(target=work, args=(order,)) for order in orders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with Store.open(store_url) as store:
        counts = table_counts(store)
        assert (counts["run"], counts["result"], counts["series"]) == (15, 120, 8)
        assert check_store(store) == []


def test_attempts_written_at_once_at_one_revision_make_one_point(store_url: str) -> None:
    first, second = (file_of(1, measurement(value, minute=m)) for value, m in ((1.0, 5), (3.0, 6)))
    with Store.open(store_url) as store, Store.open(store_url) as other:
        store.record_file("p", file_of(0, measurement(9.0)), benchmarks=BENCHMARKS)
        store.record_revisions("p", [RevisionRecord(commit(1), committed_at(1))])
        waiting = threading.Thread(
            target=lambda: other.record_file("p", second, benchmarks=BENCHMARKS)
        )

        def act(tx: Transaction) -> None:
            results.record_runs(tx, "p", [NewRun(first, BENCHMARKS)])
            waiting.start()
            waiting.join(0.7)  # it cannot end before this transaction has
            assert waiting.is_alive()

        store.write(act)
        waiting.join()
        (series,) = queries.list_series(store, "p")
        assert (series.num_points, series.last_value) == (2, 2.0)
        assert check_store(store) == []


def test_several_projects_share_parameters_and_nothing_else(store: Store, tmp_path: Path) -> None:
    for project in ("p", "q"):
        store.record_file(
            project, file_of(1, measurement(1.0, params=("1",))), benchmarks=BENCHMARKS
        )
    counts = table_counts(store)
    assert (counts["param_point"], counts["benchmark"], counts["machine"]) == (1, 2, 2)
    assert counts["run"] == 2


def test_a_name_of_any_text_survives(store: Store) -> None:
    name = "b.time_ümlaut'\"; DROP TABLE result; -- %s :x"
    params = ("'%'", '"ä\\n"', "{'a': 1}")
    info = BenchmarkInfo(name, "1", "time", "µs", "lower", "timing")
    one = measurement(1.0, benchmark=name, params=params)
    store.record_file("p r/ö", file_of(1, one, env_name="e'v"), benchmarks={name: info})
    (series,) = queries.list_series(store, "p r/ö", search="drop table")
    assert (series.benchmark, series.params, series.unit) == (name, params, "µs")
