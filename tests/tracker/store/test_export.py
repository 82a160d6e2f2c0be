"""`tracker db export`: asv to store to asv, and every attempt as a table."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from tests.tracker.asv_results import (
    COMMITTED,
    result_file,
    row,
    write_benchmarks,
    write_file,
    write_machine,
)
from tests.tracker.readers.test_readers import GIVEN, SAMPLES
from tracker.asvfmt import read_benchmarks, read_machines, read_results_dir
from tracker.asvfmt.writing import grid_of
from tracker.cli import cli
from tracker.domain import ResultFile
from tracker.export import COLUMNS, to_asv
from tracker.ingest import ingest_directory, ingest_file
from tracker.metrics import MetricRule
from tracker.store import Store, queries


def files_of(results: Path) -> Iterator[ResultFile]:
    """The result files of a directory, without what belongs to the file rather than its content."""
    for file in read_results_dir(results):
        assert isinstance(file, ResultFile), file
        ordered = tuple(sorted(file.measurements, key=lambda m: (m.benchmark, m.param_index)))
        yield replace(file, path="", digest="", format_version=2, measurements=ordered, problems=())


def exported(results: Path, place: Path) -> Path:
    with Store.open("sqlite://") as store:
        project = ingest_directory(store, results).project
        to_asv(store, project, place)
    return place


def test_asv_to_store_to_asv_keeps_what_asv_holds(tmp_path: Path) -> None:
    results = tmp_path / "toy"
    write_machine(results)
    entries = {
        "b.time_grid": {
            "param_names": ["n", "name"],
            "params": [["1", "2"], ["'a'", "'b'", "'c'"]],
        },
        "b.track_up": {"type": "track", "unit": "tokens/s", "better": "higher", "kind": "rate"},
        "b.track_exact": {"type": "track", "unit": "1", "kind": "exact", "step": 2.0},
        "b.peakmem_x": {"type": "peakmemory", "unit": "bytes", "version": "9"},
    }
    write_benchmarks(results, entries)
    grid = [["1", "2"], ["'a'", "'b'", "'c'"]]
    facts = {"machine": "box", "arch": "x86_64", "cpu": "abacus"}  # as in machine.json
    for number in range(3):
        rows = {
            "b.time_grid": row(
                [1.5, None, float("nan"), 4.25, 0.1 + number, 6.0],
                params=grid,
                samples=[[1.0, 2.0], None, None, [4.25], None, [6.0, 6.5, 5.5]],
                stats_ci_99_a=[1.0, None, None, -math.inf, 0.05, 5.9],
                stats_ci_99_b=[2.0, None, None, math.inf, 0.2, 6.1],
                stats_q_25=[1.25, None, None, None, 0.09, 5.75],
                stats_q_75=[1.75, None, None, None, 0.11, 6.25],
                stats_number=[3, None, None, 1, 1, 2],
                stats_repeat=[2, None, None, 1, 1, 3],
            ),
            "b.track_up": row(3.0 + number, started=COMMITTED + 5),
            "b.track_exact": row(None),
            "b.peakmem_x": row(2.0**40, version="9"),
        }
        content = result_file(
            number, rows, params=facts, env_vars={"THREADS": "2"}, requirements={"numpy": ""}
        )
        write_file(results, number, content)
    back = exported(results, tmp_path / "back")
    assert list(files_of(back)) == list(files_of(results))
    assert read_benchmarks(back).infos == read_benchmarks(results).infos
    assert read_machines(back)[0][0].arch == read_machines(results)[0][0].arch
    described = json.loads((back / "benchmarks.json").read_text())["b.time_grid"]
    assert described["params"] == grid
    # Once more, out of what was written, nothing changes any more.
    again = exported(back, tmp_path / "again")
    assert list(files_of(again)) == list(files_of(back))


@pytest.mark.shared_data
@pytest.mark.parametrize("name", ["sunpy", "sgkit"])
def test_a_recorded_history_comes_back(name: str, tmp_path: Path, shared_data: Path) -> None:
    results = shared_data / "asv" / name / "results"
    with Store.open("sqlite://") as store:
        ingest_directory(store, results, project=name)
        to_asv(store, name, tmp_path / "back")
        with Store.open("sqlite://") as second:
            ingest_directory(second, tmp_path / "back", project=name)
            assert list(queries.export_rows(second)) == list(queries.export_rows(store))


def test_the_latest_of_several_attempts_is_asv_s(tmp_path: Path) -> None:
    results = tmp_path / "toy"
    with Store.open("sqlite://") as store:
        for launch, value in ((0, 1.0), (1, 3.0), (2, 2.0)):
            rows = {"b.time_x": row(value, started=COMMITTED + launch * 60_000)}
            write_file(results, 1, result_file(1, rows))
            ingest_directory(store, results)
        to_asv(store, "toy", tmp_path / "back")
    (file,) = files_of(tmp_path / "back")
    assert [m.value for m in file.measurements] == [2.0]


def test_points_of_other_tools_fit_no_grid_and_are_kept(tmp_path: Path) -> None:
    with Store.open("sqlite://") as store:
        ingest_file(store, SAMPLES / "hyperfine-params.json", project="p", given=GIVEN)
        ingest_file(store, SAMPLES / "llama-bench.json", project="p", given=GIVEN)
        to_asv(store, "p", tmp_path / "back")
        values = {r.value for r in queries.export_rows(store)}
    back = [m for file in files_of(tmp_path / "back") for m in file.measurements]
    assert {m.value for m in back if m.status == "ok"} >= values


@given(st.lists(st.integers(1, 3), min_size=1, max_size=3), st.data())
def test_the_grid_of_points_is_found_even_with_holes(sizes: list[int], data: st.DataObject) -> None:
    grid = [[f"{place}{value}" for value in range(size)] for place, size in enumerate(sizes)]
    points = {}
    for index in range(math.prod(sizes)):
        rest, point = index, []
        for size, values in zip(reversed(sizes), reversed(grid), strict=True):
            rest, at = divmod(rest, size)
            point.append(values[at])
        points[index] = tuple(reversed(point))
    assert grid_of(points) == grid
    if len(points) > 1:
        points.pop(data.draw(st.sampled_from(sorted(points))))
        found = grid_of(points)
        assert found is None or all(
            set(one) <= set(values) for one, values in zip(found, grid, strict=True)
        )


@pytest.fixture
def url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/store.db"
    with Store.open(url) as store:
        for name, project in (("hyperfine-two.json", "one"), ("table.csv", "two")):
            ingest_file(store, SAMPLES / name, project=project, given=GIVEN)
        store.record_metric_rules("one", [MetricRule("gzip", better="higher", unit="s/file")])
    return url


def export(url: str, *words: str | Path) -> tuple[int, str, str]:
    done = CliRunner().invoke(cli, ["--db", url, "db", "export", *map(str, words)])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        return 2, done.stdout, str(done.exception)
    return done.exit_code, done.stdout, done.stderr


def test_csv_json_and_parquet_hold_the_same_rows(url: str, tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    _, text, _ = export(url, "--format", "json")
    rows = [json.loads(line) for line in text.splitlines()]
    assert [tuple(one) for one in rows] == [COLUMNS] * 6
    gzip = next(one for one in rows if one["benchmark"] == "hyperfine.gzip big")
    assert (gzip["unit"], gzip["better"], gzip["value"]) == ("s/file", "higher", 0.001688711)
    assert len(gzip["samples"]) == 5
    assert {one["status"] for one in rows} == {"ok", "failed", "skipped"}

    file = tmp_path / "out.parquet"
    assert export(url, "--format", "parquet", "--out", file)[0] == 0
    assert pq.read_table(file).to_pylist() == rows

    _, text, _ = export(url, "--format", "csv", "--project", "two")
    table = list(csv.DictReader(io.StringIO(text)))
    for one, other in zip(table, [r for r in rows if r["project"] == "two"], strict=True):
        assert json.loads(one["params"]) == other["params"]
        assert (float(one["value"]) if one["value"] else None) == other["value"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "say what to export"),
        (("--format", "asv"), "--format asv needs --out"),
        (("--format", "parquet"), "--format parquet needs --out"),
        (("--rows", "--format", "csv"), "give it or --format, not both"),
        (("--out", "x", "--project", "one"), "--project goes with --format or --rows"),
        (("--format", "csv", "--project", "three"), "no project 'three'"),
        (("--format", "asv", "--project", "one", "--out", "."), "not empty"),
    ],
)
def test_a_wrong_request_is_named(url: str, words: tuple[str, ...], said: str) -> None:
    code, _, error = export(url, *words)
    assert code == 2
    assert said in error
