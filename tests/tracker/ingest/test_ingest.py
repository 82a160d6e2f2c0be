"""A results directory into the store: once, twice, broken, killed, and two at once."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tracker.asv_results import (
    COMMITTED,
    DAY,
    result_file,
    row,
    write_benchmarks,
    write_file,
    write_project,
)
from tests.tracker.store.comparison import content, exported, table_counts
from tracker.errors import UsageError
from tracker.ingest import ingest_directory
from tracker.readers import Given, Reading
from tracker.readers.asv import AsvReader
from tracker.store import Store, queries
from tracker.store.check import check_store
from tracker.store.queries.measured import seen_files


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    with Store.open(store_url) as opened:
        yield opened


def test_everything_readable_is_stored(store: Store, tmp_path: Path) -> None:
    results = write_project(tmp_path / "toy" / "results", 5)
    seen: list[tuple[int, int]] = []
    report = ingest_directory(store, results, progress=lambda *done: seen.append(done))
    assert (report.project, report.files, report.added, report.problems) == ("toy", 5, 20, ())
    assert seen == [(done, 5) for done in range(1, 6)]
    assert len(exported(store).splitlines()) == 21
    assert queries.list_machines(store, "toy") == ["box"]
    assert table_counts(store)["sample"] == 20
    assert check_store(store) == []


def test_a_second_ingest_changes_nothing(store: Store, tmp_path: Path) -> None:
    results = write_project(tmp_path / "toy", 5)
    write_file(results, 9, "{")
    ingest_directory(store, results)
    before = content(store)
    again = ingest_directory(store, results)
    assert (again.added, again.unchanged, again.files) == (0, 20, 5)
    assert content(store) == before


def test_a_file_that_was_measured_again_adds_an_attempt(store: Store, tmp_path: Path) -> None:
    results = write_project(tmp_path / "toy", 2, num_benchmarks=1)
    ingest_directory(store, results)
    later = COMMITTED + 100 * DAY
    write_file(results, 1, result_file(1, {"bench.Suite.time_0": row(7.0, started=later)}))
    report = ingest_directory(store, results)
    assert (report.added, report.unchanged) == (1, 1)
    (series,) = queries.list_series(store, "toy")
    assert queries.history(store, series.id).points[1].num_attempts == 2
    assert exported(store).splitlines()[-1].endswith(",7")  # the latest attempt


def test_what_cannot_be_read_is_kept_as_a_problem_until_it_can(
    store: Store, tmp_path: Path
) -> None:
    results = write_project(tmp_path / "toy", 3)
    torn = write_file(results, 7, '{"commit_hash": "ab')
    write_file(results, 8, result_file(8, {"b.track_dict": row([{"tokens": 3}])}))
    report = ingest_directory(store, results)
    assert (report.files, report.added) == (4, 12)
    assert len(report.problems) == 2
    assert {(one.path, one.benchmark) for one in queries.ingest_problems(store, "toy")} == {
        (str(torn), None),
        (str(results / "box" / "00000008-virtualenv-py3.11.json"), "b.track_dict"),
    }
    torn.unlink()
    assert len(ingest_directory(store, results).problems) == 1
    assert [one.benchmark for one in queries.ingest_problems(store, "toy")] == ["b.track_dict"]


def test_units_and_directions_come_from_benchmarks_json(store: Store, tmp_path: Path) -> None:
    results = tmp_path / "toy"
    write_benchmarks(
        results, {"b.track_x": {"type": "track", "unit": "tokens/s", "better": "higher"}}
    )
    rows = {"b.track_x": row(1.0, version="older"), "b.time_gone": row(1.0)}
    write_file(results, 1, result_file(1, rows))
    ingest_directory(store, results)
    gone, listed = queries.list_series(store, "toy")
    assert (listed.unit, listed.better, listed.version) == ("tokens/s", "higher", "older")
    assert (gone.unit, gone.better, gone.kind) == ("seconds", "lower", "timing")


def test_a_path_that_is_no_directory_is_the_callers_mistake(store: Store, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such directory"):
        ingest_directory(store, tmp_path / "nowhere")
    file = tmp_path / "file.json"
    file.touch()
    with pytest.raises(UsageError, match="not a directory"):
        ingest_directory(store, file)


def test_a_project_whose_results_are_missing_reads_nothing(store: Store, tmp_path: Path) -> None:
    (tmp_path / "asv.conf.json").write_text('{"project": "toy"}')
    report = ingest_directory(store, tmp_path)
    assert (report.files, report.project) == (0, "toy")
    assert "no results directory" in report.problems[0].reason


DYING = """
import os, signal, sys
from sqlalchemy import Engine, event
from tracker import ingest
from tracker.ingest import ingest_directory
from tracker.store import Store
url, path, deadline = sys.argv[1], sys.argv[2], int(sys.argv[3])
count = 0
@event.listens_for(Engine, "after_cursor_execute")
def die(*_):
    global count
    count += 1
    if count == deadline:
        os.kill(os.getpid(), signal.SIGKILL)
ingest._BATCH_RESULTS = 12
with Store.open(url) as store:
    ingest_directory(store, path, project="toy")
"""


def test_killed_at_any_statement_and_begun_anew_it_ends_the_same(
    store_url: str, tmp_path: Path
) -> None:
    results = write_project(tmp_path / "toy", 25)
    write_file(results, 77, "{")
    with Store.open("sqlite://") as undisturbed:
        ingest_directory(undisturbed, results, project="toy")
        expected = content(undisturbed)
    rng = random.Random(20240229)
    codes = []
    for deadline in sorted(rng.sample(range(2, 140), 7)):
        done = subprocess.run(
            [sys.executable, "-c", DYING, store_url, str(results), str(deadline)],
            capture_output=True,
            text=True,
        )
        assert done.returncode in (0, -signal.SIGKILL), done.stderr
        codes.append(done.returncode)
    assert codes.count(-signal.SIGKILL) >= 4
    with Store.open(store_url) as store:
        ingest_directory(store, results, project="toy")
        assert content(store) == expected
        assert check_store(store) == []


def test_two_processes_at_once_lose_nothing(store_url: str, tmp_path: Path) -> None:
    results = write_project(tmp_path / "toy", 40)
    with Store.open("sqlite://") as undisturbed:
        ingest_directory(undisturbed, results)
        expected = content(undisturbed)
    command = [sys.executable, "-m", "tracker", "--db", store_url, "ingest", "--json", str(results)]
    both = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    answers = [process.communicate(timeout=300) for process in both]
    assert [process.returncode for process in both] == [0, 0], answers
    assert sum(json.loads(out)["added"] for out, _ in answers) == 160
    with Store.open(store_url) as store:
        assert content(store) == expected
        assert check_store(store) == []


def age(results: Path, *, seconds: int = 60) -> None:
    """Set the files' time of change back, so that they may be remembered."""
    for file in results.rglob("*.json"):
        before = file.stat()
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns - seconds * 10**9))


def test_a_second_ingest_reads_no_content_of_an_unchanged_file(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = write_project(tmp_path / "toy", 4)
    torn = write_file(results, 9, "{")
    age(results)
    first = ingest_directory(store, results)
    read: list[str] = []
    original = AsvReader.read

    def noted(self: AsvReader, path: Path, given: Given = Given()) -> Reading:  # noqa: B008
        read.append(path.name)
        return original(self, path, given)

    monkeypatch.setattr(AsvReader, "read", noted)
    again = ingest_directory(store, results)
    assert read == [torn.name]  # what had a problem is looked at again
    assert (again.files, again.added, again.unchanged) == (4, 0, 16)
    assert again.problems == first.problems

    read.clear()
    changed = write_file(results, 1, result_file(1, {"bench.Suite.time_0": row(9.0, started=1)}))
    other = ingest_directory(store, results)
    assert sorted(read) == sorted([torn.name, changed.name])
    assert other.added == 1
    read.clear()
    assert ingest_directory(store, results, given=Given(machine="pool")).added == 13
    assert len(read) == 5


def test_an_unchanged_tree_is_not_opened_and_a_touched_one_not_parsed(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = write_project(tmp_path / "toy", 4)
    age(results)
    ingest_directory(store, results)
    opened: list[str] = []
    original = Path.read_bytes

    def noted(self: Path) -> bytes:
        opened.append(self.name)
        return original(self)

    monkeypatch.setattr(Path, "read_bytes", noted)
    assert ingest_directory(store, results).unchanged == 16
    assert opened == []  # neither results nor benchmarks.json nor machine.json

    elsewhere = tmp_path / "checkout"
    shutil.copytree(results, elsewhere)
    age(elsewhere, seconds=30)
    with monkeypatch.context() as patch:
        patch.setattr(AsvReader, "read", None)  # calling it would raise
        assert ingest_directory(store, elsewhere, project="toy").unchanged == 16
    opened.clear()
    assert ingest_directory(store, elsewhere, project="toy").unchanged == 16
    assert opened == []


def test_new_descriptions_are_read_where_no_result_is_new(store: Store, tmp_path: Path) -> None:
    results = write_project(tmp_path / "toy", 4, num_benchmarks=1)
    age(results)
    ingest_directory(store, results)
    write_benchmarks(results, {"bench.Suite.time_0": {"better": "higher"}})
    ingest_directory(store, results)
    (series,) = queries.list_series(store, "toy")
    assert series.better == "higher"


def test_a_file_that_changed_a_moment_ago_is_not_trusted(store: Store, tmp_path: Path) -> None:
    results = write_project(tmp_path / "toy", 1)
    ingest_directory(store, results)
    assert seen_files(store, "toy") == {}
