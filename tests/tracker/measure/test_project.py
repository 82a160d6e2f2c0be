from pathlib import Path

import pytest

from tracker.errors import UsageError
from tracker.measure.project import load_project, unmeasured_changes


def test_the_configuration_is_found_from_below(toy):
    below = toy.root / "benchmarks"
    project = load_project(start=below)
    assert project.name == "toy"
    assert project.benchmark_dir == below.resolve()
    assert project.repository.root == toy.root.resolve()
    assert not project.builds_environments


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not JSON"),
        ("[]", "one JSON object"),
        ("{}", '"project" must be'),
        ('{"project": "x", "benchmark_dir": "elsewhere"}', "is not a package"),
    ],
)
def test_bad_configurations(toy, text, said):
    (toy.root / "asv.conf.json").write_text(text)
    with pytest.raises(UsageError, match=said):
        load_project()


def test_no_configuration(tmp_path):
    with pytest.raises(UsageError, match=r"no asv\.conf\.json"):
        load_project(start=tmp_path)
    with pytest.raises(UsageError, match="no such asv configuration"):
        load_project(Path("nowhere.json"))


def test_uncommitted_source_and_suites_are_named(toy):
    toy.commit("one")
    project = load_project()
    assert unmeasured_changes(project, head_is_measured=True) == []
    toy.write(TTFT=2)
    (toy.root / "benchmarks" / "bench_new.py").touch()
    (toy.root / "notes.txt").touch()
    source, suites = unmeasured_changes(project, head_is_measured=True)
    assert "toy.py" in source and "not measured" in source and "notes" not in source
    assert "benchmarks/bench_new.py" in suites
    (only,) = unmeasured_changes(project, head_is_measured=False)
    assert "suites" in only
