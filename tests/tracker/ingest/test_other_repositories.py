"""Results of other people's projects: pools of runners, rebased commits, old formats."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.tracker.asv_results import (
    COMMITTED,
    DAY,
    commit_hash,
    result_file,
    row,
    write_file,
    write_machine,
)
from tests.tracker.ingest.test_ingest_cli import tracker
from tracker.asvfmt import read_result_file
from tracker.domain import ResultFile
from tracker.ingest import ingest_directory
from tracker.measure.git import Repository
from tracker.readers import Given
from tracker.store import Store, queries


def git(root: Path, *words: str, **environment: str) -> str:
    who = {
        f"GIT_{role}_{key}": "a@b" for role in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")
    }
    done = subprocess.run(
        ["git", *words],
        cwd=root,
        env=os.environ | who | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@pytest.fixture
def rebased(tmp_path: Path) -> tuple[Path, list[str]]:
    """A project of 20 commits of one date; its hashes, oldest first."""
    git(tmp_path, "init", "-q", "-b", "main")
    date = f"{COMMITTED // 1000} +0000"
    hashes = []
    for number in range(20):
        message = f"odd \u2028 \x1b subject {number}"
        git(tmp_path, "commit", "-q", "--allow-empty", "-m", message,
            GIT_AUTHOR_DATE=date, GIT_COMMITTER_DATE=date)  # fmt: skip
        hashes.append(git(tmp_path, "rev-parse", "HEAD"))
    (tmp_path / "asv.conf.json").write_text('{"project": "toy", "results_dir": "results"}')
    return tmp_path, hashes


def test_commits_of_one_date_stand_in_the_order_of_git(rebased, tmp_path, store_url):
    """Every other commit is measured; the ones between still link them."""
    root, hashes = rebased
    measured = hashes[::2]
    for number, commit in enumerate(measured):
        content = result_file(number, {"b.time_x": row([float(number)])}, commit_hash=commit)
        write_file(root / "results", number, content | {"date": COMMITTED})
    unknown = result_file(99, {"b.time_x": row([99.0])}) | {"date": COMMITTED - DAY}
    write_file(root / "results", 99, unknown)
    with Store.open(store_url) as store:
        for _ in range(2):
            ingest_directory(store, root, repository=Repository(root))
            (series,) = queries.list_series(store, "toy")
            points = queries.history(store, series.id).points
            assert [point.value for point in points] == [99.0, *map(float, range(len(measured)))]
        assert points[0].revision.commit == commit_hash(99)
        subject = points[1].revision.subject
        assert subject is not None
        assert subject.startswith("odd \u2028")


def test_the_command_asks_the_repository_at_hand(rebased, store_url):
    root, hashes = rebased
    for number, commit in enumerate(hashes):
        content = result_file(number, {"b.time_x": row([float(number)])}, commit_hash=commit)
        write_file(root / "results", number, content | {"date": COMMITTED})
    assert tracker("ingest", root, db=store_url).returncode == 0
    with Store.open(store_url) as store:
        (series,) = queries.list_series(store, "toy")
        values = [point.value for point in queries.history(store, series.id).points]
        assert values == [float(number) for number in range(20)]


def pool(root: Path, runners: int) -> Path:
    """Write results of which each was measured by a runner with a name of its own."""
    write_machine(root)
    for number in range(runners):
        rows = {"b.time_x": row([1.0], started=COMMITTED + number * DAY)}
        content = result_file(number, rows, params={"machine": f"runner-{number}"})
        write_file(root, number, content)
    return root


def test_a_pool_of_runners_is_warned_of_and_read_as_one_machine(tmp_path, store_url):
    results = pool(tmp_path / "toy", 6)
    done = tracker("ingest", results, db=store_url)
    assert "6 machines with one result file each" in done.stdout
    assert "--machine NAME" in done.stdout
    done = tracker("ingest", results, "--machine", "pool", db=store_url)
    assert (done.returncode, "warning" in done.stdout) == (0, False)
    assert "6 results added" in done.stdout
    again = tracker("ingest", results, "--machine", "pool", db=store_url)
    assert "0 results added, 6 unchanged" in again.stdout
    with Store.open(store_url) as store:
        (series,) = queries.list_series(store, "toy", machine="pool")
        assert series.num_points == 6


def test_two_machines_with_one_file_each_are_two_machines(tmp_path):
    with Store.open("sqlite://") as store:
        report = ingest_directory(store, pool(tmp_path / "toy", 2))
        assert report.warnings == ()
        fresh = ingest_directory(store, tmp_path / "toy", given=Given(machine="only"))
        assert fresh.added == 2
        assert queries.list_machines(store, "toy") == ["box", "only", "runner-0", "runner-1"]


@pytest.mark.parametrize(
    ("entry", "statuses"),
    [
        ({"result": None, "params": [["1", "2", "3"]]}, ["failed"] * 3),
        ({"result": None, "params": [["1", "2"], ["a", "b"]]}, ["failed"] * 4),
        ({"result": None, "params": []}, ["failed"]),
        ({"result": None}, ["failed"]),
        (None, ["failed"]),
        ({"result": [1.0, None], "params": [["1", "2"]]}, ["ok", "failed"]),
        (2.0, ["ok"]),
    ],
)
def test_null_in_format_1_is_a_failure_of_every_parameter_point(tmp_path, entry, statuses):
    content = {
        "results": {"b.time_x": entry}, "params": {"machine": "box"}, "commit_hash": "a" * 40,
        "date": COMMITTED, "env_name": "env", "python": "3.8", "version": 1,
    }  # fmt: skip
    path = tmp_path / "aaaaaaaa-env.json"
    path.write_text(json.dumps(content))
    file = read_result_file(path)
    assert isinstance(file, ResultFile)
    assert file.problems == ()
    assert [one.status for one in file.measurements] == statuses
