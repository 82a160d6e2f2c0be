"""Whose results, and where: asv.conf.json with its comments, or the directories' names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.tracker.asv_results import write_project
from tracker.asvfmt import find_project, strip_comments

CONFIG = """{
    // The version of the format. "quoted"
    "version": 1,
    "project": "toy // not a comment", /* nor
    this */
    "show_commit_url": "https://example.org/toy/commit/",
    "results_dir": "out/results",
}
"""


def test_reads_a_configuration_with_comments(tmp_path: Path) -> None:
    (tmp_path / "asv.conf.json").write_text(CONFIG)
    found = find_project(tmp_path)
    assert found.name == "toy // not a comment"
    assert found.results_dir == tmp_path / "out" / "results"
    assert found.commit_url == "https://example.org/toy/commit/{commit}"


def test_comment_marks_and_commas_inside_strings_stay() -> None:
    text = r'{"a": "http://x/*y*/,]", "b\"//": [1, 2, ], // gone' + "\n}"
    assert json.loads(strip_comments(text)) == {"a": "http://x/*y*/,]", 'b"//': [1, 2]}


@pytest.mark.parametrize("below", ["results", "bench/results"])
def test_a_results_directory_takes_the_name_of_the_configuration_above(
    tmp_path: Path, below: str
) -> None:
    (tmp_path / "asv.conf.json").write_text('{"project": "toy"}')
    results = write_project(tmp_path / below, 1)
    found = find_project(results)
    assert (found.name, found.results_dir) == ("toy", results)


def test_without_a_configuration_the_directory_names_the_project(tmp_path: Path) -> None:
    results = write_project(tmp_path / "fast" / "results", 1)
    assert find_project(tmp_path / "fast").results_dir == results
    assert find_project(tmp_path / "fast").name == "fast"
    assert find_project(results).name == "fast"
    assert find_project(write_project(tmp_path / "plain", 1)).name == "plain"


@pytest.mark.parametrize("content", ["{", "[]", '{"project": 3}'])
def test_a_bad_configuration_leaves_the_directory_name(tmp_path: Path, content: str) -> None:
    place = tmp_path / "toy"
    write_project(place / "results", 1)
    (place / "asv.conf.json").write_text(content)
    found = find_project(place)
    assert (found.name, found.results_dir) == ("toy", place / "results")
    assert (found.problem is None) == (content == '{"project": 3}')
