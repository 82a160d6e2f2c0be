"""`tracker db`: upgrade, check, prune, export and import, and moving between backends."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import text

from tests.tracker.asv_results import result_file, row, write_file, write_project
from tests.tracker.store.comparison import content, table_counts
from tests.tracker.store.values import (
    BENCHMARKS,
    START,
    commit,
    committed_at,
    file_of,
    measurement,
)
from tracker.cli import cli
from tracker.domain import (
    Expectation,
    ExplanationInfo,
    Fingerprint,
    Launch,
    LevelShift,
    QuarantinedGpu,
    RevisionRecord,
    Search,
    VerdictInfo,
)
from tracker.errors import SchemaError, StoreError, UsageError
from tracker.ingest import ingest_directory
from tracker.store import Store, queries
from tracker.store.schema import HEAD
from tracker.triage import Assign, Merge, MoveCommit


def tracker(db: str, *arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, ["--db", db, *map(str, arguments)])


def fails(db: str, *arguments: str | Path) -> Exception:
    result = tracker(db, *arguments)
    assert isinstance(result.exception, Exception), result.output
    return result.exception


def fill(store: Store) -> None:
    """Give every table rows."""
    launch = Launch("a.jsonl", "d" * 64, "1", "b", Fingerprint(torch="2"), {"started_at": "x"})
    for number in range(4):
        store.record_file(
            "p",
            file_of(
                number,
                measurement(1.0 + number, number=number, samples=(1.0, 0.1 + number)),
                measurement(None, benchmark="b.track_y", params=("1", "'ü'"), number=number),
            ),
            benchmarks=BENCHMARKS,
            fingerprint=Fingerprint(torch=f"2.{number // 2}"),
            launches=[launch] if number == 0 else [],
        )
    store.record_revisions("p", [RevisionRecord(commit(1), START, (commit(0),), "Fix", "main")])
    gate = store.begin_gate("p", base=commit(0), head=commit(1), machine="box", policy={"a": 1})
    told = VerdictInfo(gate, "b", "s", None, "other", "pass", None, None, None, 1, 1, 1, None)
    store.finish_gate(gate, 0, [told], pairs=1)
    pair = file_of(1, measurement(9.0, number=1, minute=3))
    store.record_file("p", pair, benchmarks=BENCHMARKS, gate_id=gate, pair=0, arm="head")
    facts = {"title": "t", "detail": "d", "revision_commit": commit(1), "machine": "box"}
    alert, _ = store.open_alert("p", key="k", **facts)
    part, _ = store.open_alert("p", key="k2", **facts)
    store.plan_deliveries([(alert, "webhook", "opened")], now=START)
    store.triage([alert], Assign("Bo"), by="ann", now=START)
    store.triage([alert], MoveCommit("earlier"), by="ann", now=START)
    store.triage([part], Merge(alert), by="ann", now=START)
    store.record_expectation("p", Expectation("b", 0.06, "it pays", commit(1), START))
    explanation = ExplanationInfo(commit(0), commit(1), "box", START, {"moved": 1.5})
    store.record_explanation("p", explanation)
    store.record_quarantine(QuarantinedGpu("GPU-1", "box", None, "SM clock 480", START))
    series = queries.list_series(store, "p")[0]
    points = queries.history(store, series.id).points
    shifts = [LevelShift(series.id, point.revision, 1, 2, 1.0, True, "x") for point in points[1:3]]
    store.record_searches([Search(series.id, shifts, "x")])
    store.write(
        lambda tx: tx.conn.execute(
            text(
                "INSERT INTO calibration (project_id, machine_id, started_at, gates, "
                "false_blocks, policy) VALUES (1, 1, '2024-01-01 00:00:00', 5, 0, '{}')"
            )
        )
    )


def answers(store: Store) -> list[object]:
    """Everything a page shows, without the ids."""
    overview = queries.overview(store, "p")
    listed = queries.list_series(store, "p")
    histories = [queries.history(store, series.id) for series in listed]
    return [
        overview.project,
        overview.calibration,
        [(series.metric, shift.effect) for series, shift in overview.worse],
        [(gate.policy, gate.exit_code, gate.verdicts, gate.base.commit) for gate in overview.gates],
        queries.list_expectations(store, "p"),
        queries.quarantined_gpus(store),
        [
            (
                *(one.key, one.title, one.created_at, one.assignee, one.merged_into),
                *(one.history, one.revision.commit, one.detected.commit, one.machine),
            )
            for one in queries.list_alerts(store, "p", merged=True)
        ],
        [(one.metric, one.unit, one.last_value, one.num_points) for one in listed],
        [[(p.revision.commit, p.value, p.num_attempts) for p in h.points] for h in histories],
        [[(s.revision.commit, s.before) for s in history.shifts] for history in histories],
        [[change.changed for change in history.fingerprint_changes] for history in histories],
    ]


def test_a_store_moves_to_any_backend_and_a_second_import_adds_nothing(
    store_url: str, tmp_path: Path
) -> None:
    origin = f"sqlite:///{tmp_path}/origin.db"
    dump = tmp_path / "dump.jsonl"
    with Store.open(origin) as store:
        fill(store)
        expected = content(store), answers(store)
        empty = {name for name, count in table_counts(store).items() if not count}
        # Not exported, but the problems.
        assert empty == {
            *("account", "api_push", "api_token", "detection", "ingest_problem", "job"),
            *("node_quarantine", "service_task"),
        }
    assert tracker(origin, "db", "export", "--out", dump).exit_code == 0
    first = tracker(store_url, "db", "import", dump)
    assert first.exit_code == 0, first.output
    with Store.open(store_url) as store:
        assert (content(store), answers(store)) == expected
    second = tracker(store_url, "db", "import", dump)
    assert second.output.endswith(" 0 added\n")
    with Store.open(store_url) as store:
        assert (content(store), answers(store)) == expected
    assert tracker(store_url, "db", "check").exit_code == 0
    # There, and back into a store like the first, the bytes are the same.
    there, back = tmp_path / "there.jsonl.gz", tmp_path / "back.jsonl"
    tracker(store_url, "db", "export", "--out", there)
    assert gzip.decompress(there.read_bytes()) == dump.read_bytes()
    home = f"sqlite:///{tmp_path}/home.db"
    tracker(home, "db", "import", there)
    tracker(home, "db", "export", "--out", back)
    assert back.read_bytes() == dump.read_bytes()
    with Store.open(store_url) as store:  # rows that follow are numbered after those that came
        file = file_of(7, measurement(1.0, number=7), machine="new")
        assert store.record_file("new", file, benchmarks=BENCHMARKS).added == 1


def test_a_dump_of_an_older_schema_is_read(tmp_path: Path) -> None:
    origin, dump = f"sqlite:///{tmp_path}/origin.db", tmp_path / "dump.jsonl"
    with Store.open(origin) as store:
        fill(store)
        expected = answers(store)
    tracker(origin, "db", "export", "--out", dump)
    lines = [json.loads(line) for line in dump.read_text().splitlines()]
    lines[0]["schema"] = "0002"
    of_shifts = False
    for line in lines:
        if isinstance(line, dict):
            of_shifts = line.get("table") == "change_point"
        if of_shifts:
            row = line["columns"] if isinstance(line, dict) else line
            del row[-3:]  # what the schema after it added
            row.insert(6, "worse" if isinstance(line, dict) else True)  # what a later one dropped
    dump.write_text("".join(json.dumps(line) + "\n" for line in lines))
    target = f"sqlite:///{tmp_path}/target.db"
    assert tracker(target, "db", "import", dump).exit_code == 0
    with Store.open(target) as store:
        assert answers(store) == expected


def test_a_dump_merges_into_a_store_with_other_ids(store_url: str, tmp_path: Path) -> None:
    origin = f"sqlite:///{tmp_path}/origin.db"
    with Store.open(origin) as store:
        fill(store)
        expected = answers(store)
    tracker(origin, "db", "export", "--out", tmp_path / "dump.jsonl")
    with Store.open(store_url) as store:
        for number in range(3, 0, -1):
            other = measurement(5.0, benchmark="other.time_z", number=number)
            store.record_file("q", file_of(number, other, machine="m"), benchmarks={})
    assert tracker(store_url, "db", "import", tmp_path / "dump.jsonl").exit_code == 0
    with Store.open(store_url) as store:
        assert answers(store) == expected
        assert queries.list_projects(store)[1].num_results == 3


def test_a_dump_cut_short_imports_nothing(tmp_path: Path) -> None:
    origin, target = (f"sqlite:///{tmp_path}/{name}.db" for name in ("origin", "target"))
    with Store.open(origin) as store:
        fill(store)
    plain, zipped = tmp_path / "dump.jsonl", tmp_path / "dump.jsonl.gz"
    for file in (plain, zipped):
        tracker(origin, "db", "export", "--out", file)
    lines = plain.read_text().splitlines(keepends=True)
    last_row = max(at for at, line in enumerate(lines) if line.startswith("["))
    torn = tmp_path / "torn"
    for cut in (
        "".join(lines[:-1]).encode(),
        "".join(lines[:2] + lines[3:]).encode(),  # without the project
        "".join(lines[:last_row] + lines[last_row + 1 :]).encode(),
        plain.read_bytes()[:-60],
        gzip.compress("".join(lines[:20]).encode()),
        zipped.read_bytes()[:-40],
    ):
        torn.write_bytes(cut)
        error = fails(target, "db", "import", torn)
        assert isinstance(error, StoreError)
        assert "incomplete dump" in str(error)
    with Store.open(target) as store:
        assert queries.list_projects(store) == []


@pytest.mark.parametrize(
    "content", ["", "hello", "[1]", json.dumps({"record": "pacekeeper-dump", "format": 9})]
)
def test_a_file_that_is_no_dump_is_the_callers_mistake(tmp_path: Path, content: str) -> None:
    file = tmp_path / "dump"
    file.write_text(content)
    assert isinstance(fails(f"sqlite:///{tmp_path}/s.db", "db", "import", file), UsageError)
    assert isinstance(fails(f"sqlite:///{tmp_path}/s.db", "db", "import", "absent"), UsageError)


def test_rows_are_printed_as_whole_numbers_floats_and_words(tmp_path: Path) -> None:
    db = f"sqlite:///{tmp_path}/s.db"
    results = tmp_path / "toy"
    values = [3, 0.1, None, float("nan"), 1e300, 2**53, -0.0]
    params = [["a"], [f"'{index}'" for index in range(len(values))]]
    write_file(results, 1, result_file(1, {"b.track_x": row(values, params=params)}))
    with Store.open(db) as store:
        ingest_directory(store, results)
        ingest_directory(store, write_project(tmp_path / "other", 1))
    result = tracker(db, "db", "export", "--rows", "--project", "toy")
    lines = result.stdout_bytes.decode().split("\r\n")
    assert lines[0] == (
        "machine,commit,env_name,date_ms,benchmark,bench_version,param_index,param,value"
    )
    assert [line.rpartition(",")[2] for line in lines[1:-1]] == [
        "3", "0.1", "", "nan", "1e+300", str(2**53), "0",
    ]  # fmt: skip
    assert lines[2].endswith(",b.track_x,1,1,a|'1',0.1")
    everything = tracker(db, "db", "export", "--rows")
    assert len(everything.stdout.splitlines()) == 1 + 7 + 4
    out = tmp_path / "rows.csv"
    assert tracker(db, "db", "export", "--rows", "--project", "toy", "--out", out).exit_code == 0
    assert out.read_bytes() == result.stdout_bytes
    for wrong in (("--rows", "--project", "nope"), (), ("--project", "toy", "--out", out)):
        assert isinstance(fails(db, "db", "export", *wrong), UsageError)


def test_upgrade_creates_and_says_so(database_url: str) -> None:
    assert f"none -> {HEAD}" in tracker(database_url, "db", "upgrade").output
    assert "nothing to do" in tracker(database_url, "db", "upgrade").output
    with Store.open(database_url) as store:
        store.write(lambda tx: tx.conn.execute(text("UPDATE alembic_version SET version_num='9'")))
    assert isinstance(fails(database_url, "db", "upgrade"), SchemaError)
    assert isinstance(fails(database_url, "db", "check"), SchemaError)


@pytest.mark.parametrize(
    ("damage", "finding"),
    [
        ("UPDATE series SET num_results = 77", "says 77 results"),
        ("UPDATE revision SET num_results = 77", "says 77 results"),
        ("UPDATE change_point SET is_latest = (1 = 1)", "exactly one latest level shift"),
        ("UPDATE change_point SET is_latest = (1 = 0)", "exactly one latest level shift"),
    ],
)
def test_check_finds_counters_that_are_off_and_rebuild_mends_them(
    store_url: str, damage: str, finding: str
) -> None:
    with Store.open(store_url) as store:
        fill(store)
        before = answers(store)
        assert tracker(store_url, "db", "check").exit_code == 0
        store.write(lambda tx: tx.conn.execute(text(damage)))
    result = tracker(store_url, "db", "check")
    assert finding in result.output
    assert "tracker db check --rebuild" in result.output
    assert isinstance(result.exception, StoreError)
    assert tracker(store_url, "db", "check", "--rebuild").exit_code == 0
    with Store.open(store_url) as store:
        assert answers(store) == before


def test_check_finds_shifts_that_point_nowhere(store_url: str) -> None:
    with Store.open(store_url) as store:
        fill(store)
        store.record_revisions("p", [RevisionRecord(commit(9), committed_at(9))])
        stray = queries.resolve_revision(store, "p", commit(9))
        series = queries.list_series(store, "p")[0]
        shift = LevelShift(series.id, stray, 1.0, 2.0, 1.0, True, "x")
        store.record_searches([Search(series.id, [shift], "x")])
    assert "not measured at" in tracker(store_url, "db", "check").output


def test_check_finds_rows_that_point_nowhere(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/s.db"
    with Store.open(url) as store:
        fill(store)
    import sqlite3

    connection = sqlite3.connect(tmp_path / "s.db")  # without foreign keys
    connection.execute("DELETE FROM run WHERE id = 1")
    connection.commit()
    connection.close()
    result = tracker(url, "db", "check")
    assert "points at no row of run" in result.output
    assert isinstance(result.exception, StoreError)


def test_prune_says_what_would_go_and_goes_only_with_yes(store_url: str) -> None:
    with Store.open(store_url) as store:
        fill(store)
        before = answers(store)
    date = f"{committed_at(2):%Y-%m-%d}"
    plan = tracker(store_url, "db", "prune", "--before", date)
    assert "would delete the samples of 2 results" in plan.output
    with Store.open(store_url) as store:
        assert table_counts(store)["sample"] == 4
    assert (
        "deleted the samples of 2"
        in tracker(store_url, "db", "prune", "--before", date, "--yes").output
    )
    with Store.open(store_url) as store:
        assert table_counts(store)["sample"] == 2
        assert answers(store) == before
    everything = tracker(store_url, "db", "prune", "--keep-days", "0", "--yes")
    assert "samples of 2 results and 1 artifacts" in everything.output
    for wrong in ((), ("--keep-days", "1", "--before", date), ("--before", "soon")):
        assert isinstance(fails(store_url, "db", "prune", *wrong), UsageError)
    assert tracker(store_url, "db", "prune", "--keep-days", "-1").exit_code == 2
