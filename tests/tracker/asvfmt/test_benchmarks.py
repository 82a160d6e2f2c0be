"""benchmarks.json: units, directions and kinds, stated or by asv's types."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from tests.tracker.asv_results import write_benchmarks
from tracker.asvfmt import infer_benchmark, read_benchmarks


@pytest.mark.parametrize(
    ("type_", "better", "kind"),
    [
        ("time", "lower", "timing"),
        ("timeraw", "lower", "timing"),
        ("memory", "lower", "other"),
        ("peakmemory", "lower", "other"),
        ("track", None, "other"),
    ],
)
def test_direction_and_kind_without_attributes(
    tmp_path: Path, type_: str, better: str | None, kind: str
) -> None:
    write_benchmarks(tmp_path, {"b.x": {"type": type_, "unit": "parsecs"}})
    info = read_benchmarks(tmp_path).infos["b.x"]
    assert (info.better, info.kind, info.unit, info.step) == (better, kind, "parsecs", 0.0)


def test_attributes_of_the_function_state_direction_kind_and_step(tmp_path: Path) -> None:
    entry = {"type": "track", "better": "higher", "kind": "exact", "step": 2, "param_names": ["n"]}
    write_benchmarks(tmp_path, {"b.track_x": entry})
    found = read_benchmarks(tmp_path)
    info = found.infos["b.track_x"]
    assert (info.better, info.kind, info.step, info.param_names) == ("higher", "exact", 2.0, ("n",))
    assert found.problems == ()


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("better", "larger"),
        ("better", 1),
        ("better", ["lower"]),
        ("kind", "speed"),
        ("step", -1),
        ("step", math.inf),
        ("step", math.nan),
        ("step", "1"),
        ("step", True),
    ],
)
def test_an_attribute_that_makes_no_sense_is_a_problem(
    tmp_path: Path, attribute: str, value: Any
) -> None:
    write_benchmarks(tmp_path, {"b.time_x": {attribute: value}})
    found = read_benchmarks(tmp_path)
    info = found.infos["b.time_x"]
    assert (info.better, info.kind, info.step) == ("lower", "timing", 0.0)
    (problem,) = found.problems
    assert problem.benchmark == "b.time_x"
    assert attribute in problem.reason


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"version": 1}', '{"version": 2, "b.time_x": 3}']
)
def test_a_bad_file_is_a_problem_and_stops_nothing(tmp_path: Path, content: str) -> None:
    (tmp_path / "benchmarks.json").write_text(content)
    found = read_benchmarks(tmp_path)
    assert found.infos == {}
    assert len(found.problems) == 1


def test_a_directory_without_the_file_says_nothing(tmp_path: Path) -> None:
    assert read_benchmarks(tmp_path).infos == {}
    assert read_benchmarks(tmp_path).problems == ()


@pytest.mark.parametrize(
    ("name", "type_", "unit", "better"),
    [
        ("m.Suite.time_x", "time", "seconds", "lower"),
        ("m.TimeX", "track", "unit", None),
        ("m.Suite.peakmem_x", "peakmemory", "bytes", "lower"),
        ("m.mem_x", "memory", "bytes", "lower"),
        ("m.track_time_x", "track", "unit", None),
    ],
)
def test_a_benchmark_that_is_not_listed_is_known_by_its_name(
    name: str, type_: str, unit: str, better: str | None
) -> None:
    info = infer_benchmark(name, "7")
    assert (info.type, info.unit, info.better, info.version) == (type_, unit, better, "7")
