"""`tracker ingest FILE`: files of other tools into the store."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.tracker.ingest.test_ingest_cli import tracker
from tests.tracker.ingest.test_other_repositories import git
from tests.tracker.readers.test_readers import COMMIT, SAMPLES
from tracker.store import Store, queries
from tracker.store.check import check_store

OPTIONS = ("--project", "p", "--commit", COMMIT, "--committed-at", "2026-11-01", "--machine", "box")


def test_a_file_goes_in_once_and_a_new_tool_version_starts_new_series(store_url: str) -> None:
    file = SAMPLES / "hyperfine-two.json"
    done = tracker("ingest", file, *OPTIONS, db=store_url)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "p: 1 file, 2 results added, 0 unchanged, 0 problems\n"
    again = tracker("ingest", file, *OPTIONS, db=store_url)
    assert "0 results added, 2 unchanged" in again.stdout
    tracker("ingest", file, *OPTIONS, "--tool-version", "1.19", db=store_url)
    with Store.open(store_url) as store:
        versions = [(s.benchmark, s.version) for s in queries.list_series(store, "p")]
        assert versions == [
            ("hyperfine.gzip big", ""),
            ("hyperfine.gzip big", "1.19"),
            ("hyperfine.sleep 0.01", ""),
            ("hyperfine.sleep 0.01", "1.19"),
        ]
        series = queries.list_series(store, "p")[0]
        assert (series.unit, series.better, series.kind) == ("s", "lower", "timing")
        (point,) = queries.history(store, series.id).points
        assert point.value == 0.001688711
        assert check_store(store) == []


def test_equal_numbers_of_two_commits_are_two_results(store_url: str) -> None:
    """Exact counts repeat; the file of another commit is not the same file."""
    for commit in ("a" * 40, "b" * 40):
        options = ("--project", "p", "--machine", "m", "--committed-at", "2026-11-01")
        tracker("ingest", SAMPLES / "bencher.json", *options, "--commit", commit, db=store_url)
    with Store.open(store_url) as store:
        assert {series.num_points for series in queries.list_series(store, "p")} == {2}


def test_a_history_that_grew_adds_what_is_new(tmp_path: Path, store_url: str) -> None:
    text = (SAMPLES / "data.js").read_text()
    grown = tmp_path / "data.js"
    content = json.loads(text.partition("=")[2])
    entries = content["entries"]["LLM speed"]
    for number, expected in (
        (1, "1 results added, 0 unchanged"),
        (2, "1 results added, 1 unchanged"),
    ):
        content["entries"]["LLM speed"] = entries[:number]
        grown.write_text(f"window.BENCHMARK_DATA = {json.dumps(content)};")
        done = tracker("ingest", grown, "--project", "p", "--machine", "m", db=store_url)
        assert expected in done.stdout, done.stderr


def test_the_repository_at_hand_completes_commit_and_time(
    tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(tmp_path, "init", "-q")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "first")
    (tmp_path / "pacekeeper.toml").write_text(
        '[project]\nname = "engine"\n[gate.metrics."total"]\nunit = "tok/s"\n'
    )
    rows = json.loads((SAMPLES / "llama-bench.json").read_text())
    head = git(tmp_path, "rev-parse", "HEAD")
    file = tmp_path / "bench.json"
    file.write_text(json.dumps([row | {"build_commit": head[:7]} for row in rows]))
    monkeypatch.chdir(tmp_path)
    done = tracker("ingest", file, SAMPLES / "vllm-throughput.json", "--commit", "HEAD",
                   "--machine", "m", db=store_url)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("engine: 3 files, 3 results added")
    with Store.open(store_url) as store:
        assert {rev.commit for rev in queries.newest_revisions(store, "engine")} == {head}
        assert queries.newest_revisions(store, "engine")[0].subject == "first"
        (total,) = queries.list_series(store, "engine", search="total")
        assert total.unit == "tok/s"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (
            ("llama-bench.json", "--project", "p", "--machine", "m"),
            4,
            "its commit 0c1e570 is abbrev",
        ),
        (("vllm-latency.json", "--project", "p"), 4, "the file names no commit; give --commit"),
        (("vllm-latency.json", *OPTIONS, "--format", "vlm"), 2, "no format 'vlm'"),
        (("vllm-latency.json", *OPTIONS, "--format", "pyperf"), 4, "not a file of pyperf"),
        (
            ("vllm-latency.json", *OPTIONS, "--measured-at", "noon"),
            2,
            "--measured-at 'noon': not a",
        ),
        ((".", "--commit", COMMIT), 2, "a directory holds asv's files, of many commits"),
    ],
)
def test_what_is_refused_names_what_is_missing_and_leaves_no_project(
    words: tuple[str, ...], code: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    db = f"sqlite:///{tmp_path}/store.db"
    done = tracker("ingest", SAMPLES / words[0], *words[1:], db=db)
    assert done.returncode == code
    assert said in done.stdout + done.stderr
    with Store.open(db) as store:
        assert queries.list_projects(store) == []


def test_problems_of_a_file_are_kept_until_it_reads_cleanly(tmp_path: Path, store_url: str) -> None:
    file = tmp_path / "bench.json"
    file.write_bytes((SAMPLES / "hyperfine-some-failed.json").read_bytes())
    tracker("ingest", file, *OPTIONS, db=store_url)
    with Store.open(store_url) as store:
        assert [problem.path for problem in queries.ingest_problems(store, "p")] == [str(file)]
        file.write_bytes((SAMPLES / "hyperfine-two.json").read_bytes())
        tracker("ingest", file, *OPTIONS, db=store_url)
        assert queries.ingest_problems(store, "p") == []
