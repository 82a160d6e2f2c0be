"""Result files of every shape: what is read, what becomes a problem, and what stays readable."""

from __future__ import annotations

import json
import math
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tracker.asv_results import COLUMNS, COMMITTED, result_file, row, write_file
from tracker.asvfmt import read_result_file, read_results_dir
from tracker.domain import Problem, ResultFile


def read(tmp_path: Path, content: dict[str, Any] | str) -> ResultFile:
    found = read_result_file(write_file(tmp_path, 1, content))
    assert isinstance(found, ResultFile), found
    return found


def refused(tmp_path: Path, content: dict[str, Any] | str) -> Problem:
    path = write_file(tmp_path, 1, content)
    found = read_result_file(path)
    assert isinstance(found, Problem), found
    assert found.path == str(path)
    return found


def test_reads_every_column_of_a_row(tmp_path: Path) -> None:
    full = row(
        [0.25],
        stats_ci_99_a=[0.2],
        stats_ci_99_b=[0.3],
        stats_q_25=[0.24],
        stats_q_75=[0.26],
        stats_number=[7],
        stats_repeat=[3],
        samples=[[0.2, 0.25, 0.3]],
    )
    file = read(tmp_path, result_file(1, {"b.time_x": full}))
    (one,) = file.measurements
    assert (one.status, one.value, one.ci_low, one.ci_high) == ("ok", 0.25, 0.2, 0.3)
    assert (one.q25, one.q75, one.number, one.repeat) == (0.24, 0.26, 7, 3)
    assert one.samples == (0.2, 0.25, 0.3)
    assert one.started_at == datetime.fromtimestamp(COMMITTED // 1000, UTC)
    assert one.duration == 0.5
    assert file.machine == "box"
    assert file.machine_fields == {"cpu": "abacus", "num_cpu": "2"}
    assert file.requirements == {"numpy": "2.0"}


@pytest.mark.parametrize("num_columns", [1, 5, 11, 12, 13])
def test_reads_rows_whose_trailing_nulls_are_left_out(tmp_path: Path, num_columns: int) -> None:
    cells = [[1.5], [], "v", COMMITTED, 0.1, *([[1.0]] * 6), [[1.5, 1.5]], None]
    file = read(tmp_path, result_file(1, {"b.time_x": cells[:num_columns]}))
    (one,) = file.measurements
    assert one.value == 1.5
    assert (one.started_at is None) == (num_columns < 4)
    assert (one.samples is None) == (num_columns < 12)
    assert file.problems == ()


def test_null_is_failed_and_nan_is_skipped(tmp_path: Path) -> None:
    params = [["1", "2", "3"]]
    content = json.dumps(result_file(1, {"b.time_x": row([None, math.nan, 2], params=params)}))
    assert "NaN" in content
    file = read(tmp_path, content)
    assert [(m.status, m.value, m.params) for m in file.measurements] == [
        ("failed", None, ("1",)),
        ("skipped", None, ("2",)),
        ("ok", 2.0, ("3",)),
    ]


def test_a_null_result_means_that_every_parameter_point_failed(tmp_path: Path) -> None:
    cells = row([1], params=[["1", "2"], ["'a'", "'b'"]])
    cells[0] = None
    file = read(tmp_path, result_file(1, {"b.time_x": cells}))
    assert [m.params for m in file.measurements] == [
        ("1", "'a'"),
        ("1", "'b'"),
        ("2", "'a'"),
        ("2", "'b'"),
    ]
    assert {m.status for m in file.measurements} == {"failed"}
    assert [m.param_index for m in file.measurements] == [0, 1, 2, 3]


BAD_VALUES = {
    "string": "fast",
    "dict": {"tokens": 1},
    "list": [1],
    "boolean": True,
    "inf": math.inf,
    "-inf": -math.inf,
    "beyond what a double": 10**400,
}


@pytest.mark.parametrize(("word", "value"), BAD_VALUES.items(), ids=BAD_VALUES)
def test_a_value_that_is_no_number_names_its_benchmark(
    tmp_path: Path, word: str, value: Any
) -> None:
    results = {"b.track_bad": row([value]), "b.track_good": row([1])}
    file = read(tmp_path, result_file(1, results))
    assert [m.benchmark for m in file.measurements] == ["b.track_good"]
    (problem,) = file.problems
    assert problem.benchmark == "b.track_bad"
    assert word in problem.reason


BAD_ROWS: dict[str, Any] = {
    "a row of 14 cells": [[1.0], [], "v", COMMITTED, 0.1, *[None] * 8, "more"],
    "an empty row": [],
    "no list": {"result": 1},
    "a number": 3.5,
    "two values for one point": row([1.0, 2.0]),
    "one value for two points": row([1.0], params=[["1", "2"]]),
    "params that are no lists": row([1.0], params=[3]),
    "too many points": row([1.0], params=[["1"] * 1000] * 3),
    "a version that is a list": row([1.0], version=["x"]),  # type: ignore[arg-type]
    "a start time that is a string": row([1.0], started="today"),  # type: ignore[arg-type]
    "a start time beyond the calendar": row([1.0], started=10**18),
}


@pytest.mark.parametrize("cells", BAD_ROWS.values(), ids=BAD_ROWS)
def test_a_row_that_makes_no_sense_never_stops_the_rest(tmp_path: Path, cells: Any) -> None:
    file = read(tmp_path, result_file(1, {"b.time_bad": cells, "b.time_good": row([1])}))
    assert [m.benchmark for m in file.measurements] == ["b.time_good"]
    assert [problem.benchmark for problem in file.problems] == ["b.time_bad"]


def test_a_bad_statistic_costs_the_statistic_not_the_value(tmp_path: Path) -> None:
    file = read(tmp_path, result_file(1, {"b.time_x": row([1], stats_q_25=[1, 2])}))
    assert [m.value for m in file.measurements] == [1.0]
    assert "wrong column count" in file.problems[0].reason


def test_an_infinite_interval_is_no_interval(tmp_path: Path) -> None:
    cells = row([1], stats_ci_99_a=[-math.inf], stats_ci_99_b=[math.inf])
    (one,) = read(tmp_path, result_file(1, {"b.time_x": cells})).measurements
    assert (one.value, one.ci_low, one.ci_high) == (1.0, None, None)


def test_text_that_no_database_keeps_is_a_problem(tmp_path: Path) -> None:
    results = {
        "b.time_\0": row([1]),
        "b.time_p": row([1], params=[["'\ud800'"]]),
        "b.time_ü": row([1], params=[["'ä\u2028'"]]),
    }
    file = read(tmp_path, result_file(1, results))
    assert [m.benchmark for m in file.measurements] == ["b.time_ü"]
    assert len(file.problems) == 2
    for problem in file.problems:
        f"{problem.benchmark}{problem.reason}".encode()


BAD_FILES: dict[str, tuple[dict[str, Any] | str, str]] = {
    "truncated": (json.dumps(result_file(1, {"b.time_x": row([1])}))[:-40], "truncated"),
    "truncated in a string": ('{"commit_hash": "abc', "truncated"),
    "empty": ("", "empty file"),
    "not JSON": ("<html>", "not JSON"),
    "a list": ("[1, 2]", "holds a list"),
    "deep": ("[" * 200_000, "nested"),
    "long integer": ('{"version": ' + "9" * 5000 + "}", "not readable"),
    "unknown version": (result_file(1, {}, version=3), "format version 3"),
    "version true": (result_file(1, {}, version=True), "format version True"),
    "version null": (result_file(1, {}, version=None), "format version None"),
    "another file": ({"name": "package", "version": 1}, "not a result file"),
    "results is a list": (result_file(1, []), "'results' is a list"),  # type: ignore[arg-type]
    "no columns": (result_file(1, {}, result_columns=None), "result_columns"),
    "no date": (result_file(1, {}, date=None), "'date' is a NoneType"),
    "date beyond the calendar": (result_file(1, {}, date=10**20), "not a time"),
    "date NaN": (json.dumps(result_file(1, {}, date=math.nan)), "no commit date"),
    "no commit": (result_file(1, {}, commit_hash=""), "'commit_hash' is empty"),
}


@pytest.mark.parametrize(("content", "reason"), BAD_FILES.values(), ids=BAD_FILES)
def test_a_file_that_cannot_be_read_is_one_problem(
    tmp_path: Path, content: dict[str, Any] | str, reason: str
) -> None:
    assert reason in refused(tmp_path, content).reason


def test_bytes_that_are_no_text_are_a_problem(tmp_path: Path) -> None:
    path = write_file(tmp_path, 1, "")
    path.write_bytes(b'{"a": "\xff\xfe\x80"}')
    found = read_result_file(path)
    assert isinstance(found, Problem)
    assert "UTF-8" in found.reason


def test_a_file_that_cannot_be_opened_is_a_problem(tmp_path: Path) -> None:
    path = write_file(tmp_path, 1, "")
    path.unlink()
    path.mkdir()  # root may read every file; nobody reads a directory as one
    found = read_result_file(path)
    assert isinstance(found, Problem)
    assert "cannot be read" in found.reason


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_without_read_permission_is_a_problem(tmp_path: Path) -> None:
    path = write_file(tmp_path, 1, result_file(1, {}))
    path.chmod(0)
    found = read_result_file(path)
    assert isinstance(found, Problem)
    assert "Permission denied" in found.reason


def test_an_empty_directory_is_one_problem(tmp_path: Path) -> None:
    (problem,) = read_results_dir(tmp_path)
    assert isinstance(problem, Problem)
    assert "no result files" in problem.reason


def test_unknown_columns_are_named_and_ignored(tmp_path: Path) -> None:
    content = result_file(1, {"b.time_x": row([1])}, result_columns=[*COLUMNS, "energy"])
    file = read(tmp_path, content)
    assert [m.value for m in file.measurements] == [1.0]
    assert "energy" in file.problems[0].reason


def test_reads_format_1_with_scalars_objects_and_its_own_mappings(tmp_path: Path) -> None:
    stats = {"ci_99": [0.5, 1.5], "q_25": 0.9, "q_75": 1.1, "repeat": 10, "number": 4}
    content = {
        "version": 1,
        "commit_hash": "AB" * 20,
        "date": COMMITTED,
        "python": "3.8",
        "params": {"machine": "old", "ram": None},
        "requirements": {"six": "", "numpy": "1.9"},
        "results": {
            "b.mem_scalar": 280,
            "b.time_object": {"result": [1.0], "stats": [stats]},
            "b.time_params": {"result": [1.0, None], "params": [["1", "2"]], "stats": None},
            "b.time_failed": None,
            "b.track_wrong": {"tokens": 3},
        },
        "started_at": {"b.time_object": COMMITTED + 1},
        "ended_at": {"b.time_object": COMMITTED + 2501},
        "benchmark_version": {"b.time_object": "abc"},
    }
    file = read(tmp_path, content)
    assert (file.format_version, file.commit, file.machine) == (1, "ab" * 20, "old")
    assert file.env_name == "py3.8-numpy1.9-six"
    by_name = {(m.benchmark, m.params): m for m in file.measurements}
    assert by_name["b.mem_scalar", ()].value == 280
    whole = by_name["b.time_object", ()]
    assert (whole.ci_low, whole.q75, whole.repeat, whole.number) == (0.5, 1.1, 10, 4)
    assert (whole.version, whole.duration) == ("abc", 2.5)
    assert by_name["b.time_params", ("2",)].status == "failed"
    assert by_name["b.time_failed", ()].status == "failed"
    assert [problem.benchmark for problem in file.problems] == ["b.track_wrong"]


finite = st.floats(allow_nan=False, allow_infinity=False)
cells = st.one_of(finite, st.integers(-(2**60), 2**60), st.none(), st.just(math.nan))


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(
        st.from_regex(r"[a-z]{1,8}\.time_[a-zäß]{1,8}", fullmatch=True),
        st.lists(cells, min_size=1, max_size=6),
        max_size=5,
    )
)
def test_every_number_comes_back_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, values: dict[str, list[Any]]
) -> None:
    rows = {
        name: row(cells, params=[[str(index) for index in range(len(cells))]])
        for name, cells in values.items()
    }
    file = read(tmp_path_factory.mktemp("r"), result_file(1, rows))
    assert file.problems == ()
    for measurement in file.measurements:
        written = values[measurement.benchmark][measurement.param_index]
        if written is None:
            assert measurement.status == "failed"
        elif written != written:
            assert measurement.status == "skipped"
        else:
            assert measurement.value == float(written)
    assert len(file.measurements) == sum(len(cells) for cells in values.values())


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=12,
)


@settings(max_examples=120, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(
            ["commit_hash", "date", "params", "python", "requirements", "env_vars", "env_name",
             "result_columns", "results", "version", "started_at", "benchmark_version"]
        ),
        json_values,
    ),
    st.sampled_from([1, 2]),
)  # fmt: skip
def test_no_content_stops_the_reader(
    tmp_path_factory: pytest.TempPathFactory, odd: dict[str, Any], version: int
) -> None:
    content = result_file(1, {"b.time_x": row([1])}, version=version) | odd
    path = tmp_path_factory.mktemp("odd") / "file.json"
    path.write_text(json.dumps(content))
    assert isinstance(read_result_file(path), ResultFile | Problem)
