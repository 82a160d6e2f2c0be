"""A real `asv run` on a toy project, ingested: numbers, a crash, a timeout, a dict."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tracker.ingest import ingest_directory
from tracker.store import Store, queries

pytest.importorskip("asv", reason="asv is not installed (pacekeeper[bench])")

SUITE = """
import time


class Suite:
    params = [[1, 2], ["a", "b"]]
    param_names = ["n", "mode"]
    version = "1"

    def setup(self, n, mode):
        if (n, mode) == (2, "b"):
            raise NotImplementedError

    def track_product(self, n, mode):
        if (n, mode) == (2, "a"):
            raise ValueError("crashes here")
        return n * 10


def track_samples():
    return {"samples": [3.0, 1.0, 2.0], "number": 1}


def track_dict():
    return {"tokens": 3}


def track_forever():
    time.sleep(60)


def time_nothing():
    pass


Suite.track_product.better = "higher"
Suite.track_product.kind = "exact"
Suite.track_product.unit = "items"
track_samples.version = track_dict.version = track_forever.version = time_nothing.version = "1"
track_forever.timeout = 1
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A git repository with a suite, measured once by asv."""
    root = tmp_path_factory.mktemp("toy")
    home = tmp_path_factory.mktemp("home")
    (root / "benchmarks").mkdir()
    (root / "benchmarks" / "__init__.py").touch()
    (root / "benchmarks" / "bench.py").write_text(SUITE)
    (root / "asv.conf.json").write_text(
        json.dumps(
            {
                "version": 1,
                "project": "toy",
                "repo": ".",
                "branches": ["main"],
                "environment_type": "existing",
                "benchmark_dir": "benchmarks",
            }
        )
    )
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("GIT_")},
        "HOME": str(home),
        "GIT_CONFIG_GLOBAL": os.devnull,
    }

    def run(*command: str, allowed: tuple[int, ...] = (0,)) -> str:
        done = subprocess.run(
            command, cwd=root, env=environment, capture_output=True, text=True, timeout=240
        )
        assert done.returncode in allowed, done.stdout + done.stderr
        return done.stdout

    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    run("git", "init", "-q", "-b", "main")
    run("git", "add", ".")
    run("git", *identity, "commit", "-q", "-m", "Start")
    commit = run("git", "rev-parse", "HEAD").strip()
    asv = (sys.executable, "-m", "asv")
    run(*asv, "machine", "--yes", "--machine", "box")
    # asv exits with 2 where a benchmark failed, and saves the rest.
    run(
        *asv, "run", "-E", f"existing:{sys.executable}", "--set-commit-hash", commit,
        "--machine", "box", "--record-samples", "-a", "repeat=2", "-a", "number=2",
        "-a", "warmup_time=0", allowed=(2,),
    )  # fmt: skip
    return root


def test_what_asv_measured_is_in_the_store(project: Path, store_url: str) -> None:
    with Store.open(store_url) as store:
        report = ingest_directory(store, project)
        assert (report.project, report.files) == ("toy", 1)
        (problem,) = report.problems
        assert problem.benchmark == "bench.track_dict"
        assert problem.reason == "the value is a dict, not a number"

        rows = {
            (row.benchmark, row.params): (row.status, row.value)
            for row in queries.export_rows(store, "toy")
        }
        assert rows.pop(("bench.time_nothing", ()))[0] == "ok"
        assert rows == {
            ("bench.Suite.track_product", ("1", "'a'")): ("ok", 10.0),
            ("bench.Suite.track_product", ("1", "'b'")): ("ok", 10.0),
            ("bench.Suite.track_product", ("2", "'a'")): ("failed", None),
            ("bench.Suite.track_product", ("2", "'b'")): ("skipped", None),
            ("bench.track_samples", ()): ("ok", 2.0),
            ("bench.track_forever", ()): ("failed", None),
        }
        series = {one.metric: one for one in queries.list_series(store, "toy")}
        product = series["bench.Suite.track_product(1, 'a')"]
        assert (product.better, product.kind, product.unit) == ("higher", "exact", "items")
        assert (product.param_names, product.version) == (("n", "mode"), "1")
        assert {one.environment for one in series.values()} == {"existing"}
        assert {one.machine for one in series.values()} == {"box"}
        assert series["bench.time_nothing"].better == "lower"

        again = ingest_directory(store, project)
        assert (again.added, again.unchanged) == (0, report.added)


def test_samples_that_asv_recorded_are_kept(project: Path, tmp_path: Path) -> None:
    from sqlalchemy import select

    from tracker.store import tables as t

    with Store.open(f"sqlite:///{tmp_path}/s.db") as store:
        ingest_directory(store, project)
        statement = (
            select(t.sample.c["values"])
            .join(t.result, t.result.c.id == t.sample.c.result_id)
            .join(t.series, t.series.c.id == t.result.c.series_id)
            .join(t.benchmark, t.benchmark.c.id == t.series.c.benchmark_id)
            .where(t.benchmark.c.name == "bench.track_samples")
        )
        with store.reading() as connection:
            assert connection.execute(statement).scalar_one() == (3.0, 1.0, 2.0)
