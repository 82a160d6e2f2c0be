"""`tracker ingest`: its report and its exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tracker.asv_results import result_file, row, write_file, write_project
from tracker.store import Store, queries


def tracker(*arguments: str | Path, db: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tracker", "--db", db, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture
def db(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/store.db"


def test_reports_what_it_did_and_exits_0_in_spite_of_problems(tmp_path: Path, db: str) -> None:
    results = write_project(tmp_path / "toy", 3)
    torn = write_file(results, 7, "{")
    done = tracker("ingest", results, db=db)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "toy: 3 files, 12 results added, 0 unchanged, 1 problem",
        "  1 x truncated JSON: the file ends in the middle",
        f"      {torn}",
    ]
    again = tracker("ingest", results, "--project", "toy", db=db)
    assert again.stdout.startswith("toy: 3 files, 0 results added, 12 unchanged, 1 problem")


def test_json_names_every_problem(tmp_path: Path, db: str) -> None:
    first = write_project(tmp_path / "one", 2)
    second = write_project(tmp_path / "two", 1)
    write_file(second, 8, result_file(8, {"b.track_dict": row([{"tokens": 3}])}))
    done = tracker("ingest", "--json", first, second, db=db)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["files"], report["added"], report["problems"]) == (4, 12, 1)
    one, two = report["reports"]
    assert (one["project"], one["problems"]) == ("one", [])
    assert two["problems"][0]["benchmark"] == "b.track_dict"
    assert two["problems_by_reason"] == {"the value is a dict, not a number": 1}


def test_a_checkout_goes_by_the_name_in_its_policy(tmp_path: Path, db: str) -> None:
    root = tmp_path / "toy"
    results = write_project(root / "results", 2)
    (root / "asv.conf.json").write_text('{"project": "asvs"}')
    (root / "pacekeeper.toml").write_text('[project]\nname = "engine"\n')
    for path in (root, results):
        done = tracker("ingest", path, db=db)
        assert done.stdout.startswith("engine: 2 files"), done.stderr
    assert tracker("ingest", root, "--project", "mine", db=db).stdout.startswith("mine: ")
    (root / "pacekeeper.toml").write_text("[project]\n")
    assert tracker("ingest", root, db=db).stdout.startswith("asvs: ")
    (root / "pacekeeper.toml").write_text("[projects]\n")
    broken = tracker("ingest", root, db=db)
    assert (broken.returncode, "pacekeeper.toml" in broken.stderr) == (2, True)


def test_nothing_readable_is_exit_code_4(tmp_path: Path, db: str) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    done = tracker("ingest", empty, db=db)
    assert done.returncode == 4
    assert "no readable result file" in done.stderr
    with Store.open(db) as store:
        assert queries.list_projects(store) == [], "a mistyped path leaves no project behind"
    write_file(empty, 1, "{")
    done = tracker("ingest", empty, "--json", db=db)
    assert done.returncode == 4
    assert json.loads(done.stdout)["problems"] == 1


def test_a_path_that_is_not_there_is_exit_code_2_and_creates_no_store(
    tmp_path: Path, db: str
) -> None:
    done = tracker("ingest", tmp_path / "nowhere", db=db)
    assert done.returncode == 2
    assert "nowhere" in done.stderr
    assert not (tmp_path / "store.db").exists()
    assert tracker("ingest", db=db).returncode == 2


def test_a_store_that_cannot_be_opened_is_exit_code_5(tmp_path: Path) -> None:
    results = write_project(tmp_path / "toy", 1)
    done = tracker("ingest", results, db=f"sqlite:///{tmp_path}/nowhere/store.db")
    assert done.returncode == 5
    assert "does not exist; create it first" in done.stderr
    assert tracker("ingest", results, db="mysql://x/y").returncode == 2
