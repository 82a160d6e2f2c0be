"""Launch artifacts: their headers, and the runs they belong to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.tracker.asv_results import (
    COMMITTED,
    DAY,
    result_file,
    row,
    write_file,
    write_machine,
)
from tracker.artifacts import read_launch, read_launches
from tracker.domain import Launch, Problem
from tracker.ingest import ingest_directory
from tracker.store import Store, queries


def header(**changes: Any) -> dict[str, Any]:
    return {
        "record": "launch",
        "format": 1,
        "launch_id": "9f",
        "benchmark": "bench.Tiny",
        "started_at": "2023-11-14T22:13:20+00:00",
        "fingerprint": {"gpu_model": None, "torch": "2.13.0", "threads": 1, "cpu": "loom"},
    } | changes


def write(path: Path, first: dict[str, Any] | str) -> Path:
    line = first if isinstance(first, str) else json.dumps(first)
    path.write_text(line + '\n{"record": "request"}\n')
    return path


def test_reads_the_first_line(tmp_path: Path) -> None:
    found = read_launch(write(tmp_path / "a.jsonl", header()))
    assert isinstance(found, Launch)
    assert (found.launch_id, found.benchmark) == ("9f", "bench.Tiny")
    assert found.fingerprint.torch == "2.13.0"
    assert found.fingerprint.gpu_model is None
    assert found.fingerprint.threads == 1


def test_what_the_fingerprint_has_no_field_for_goes_to_extra(tmp_path: Path) -> None:
    facts = {"nccl": "2.1", "gpu_count": "two", "extra": {"b": 1}}
    found = read_launch(write(tmp_path / "a.jsonl", header(fingerprint=facts)))
    assert isinstance(found, Launch)
    assert found.fingerprint.gpu_count is None
    assert found.fingerprint.extra == (("b", "1"), ("nccl", "2.1"))


@pytest.mark.parametrize(
    "first",
    [
        "",
        "{",
        "[]",
        header(record="request"),
        header(format=2),
        header(launch_id=None),
        header(fingerprint=None),
    ],
)
def test_what_is_no_launch_artifact_is_a_problem(
    tmp_path: Path, first: dict[str, Any] | str
) -> None:
    path = write(tmp_path / "a.jsonl", first)
    launches, problems = read_launches(tmp_path)
    assert launches == []
    assert [problem.path for problem in problems] == [str(path)]
    assert isinstance(read_launch(tmp_path / "absent.jsonl"), Problem)


def test_an_unknown_interpreter_is_told_by_its_environment(tmp_path: Path, store_url: str) -> None:
    results = tmp_path / "results"
    write_machine(results)
    for number, name in ((1, "v311"), (2, "v312")):
        rows = {"bench.Tiny.track_x": row([1.0], started=COMMITTED + number * DAY)}
        environment = f"existing-py_{name}_bin_python"
        python = f"/{name}/bin/python"
        params = {"machine": "box", "python": python}
        content = result_file(number, rows, env_name=environment, python=python, params=params)
        write_file(results, number, content)
    with Store.open(store_url) as store:
        ingest_directory(store, results, project="p")
        (series,) = queries.list_series(store, "p")
        (change,) = queries.history(store, series.id).fingerprint_changes
        assert change.changed == (
            ("environment", "existing-py_v311_bin_python", "existing-py_v312_bin_python"),
        )
