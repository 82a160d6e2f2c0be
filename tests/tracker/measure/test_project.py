import json
import shutil
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


def own_suites(toy, tmp_path, repo):
    """A directory with suites alone, whose configuration names `repo`."""
    suites = tmp_path / "suites"
    shutil.copytree(toy.root / "benchmarks", suites / "benchmarks")
    config = {"project": "toy", "repo": repo, "environment_type": "existing"}
    (suites / "asv.conf.json").write_text(json.dumps(config))
    return suites


def test_suites_in_a_place_of_their_own_have_a_clone_of_what_they_measure(toy, tmp_path):
    first = toy.commit("one")
    suites = own_suites(toy, tmp_path, toy.root.as_uri())
    clone = load_project(start=suites).repository
    assert clone.root.is_relative_to(suites) and clone.resolve("HEAD") == first
    second = toy.commit("two")
    project = load_project(start=suites)
    assert project.repository.root == clone.root and clone.resolve("main") == second
    toy.git("init", "-q", str(suites))
    assert "bench_toy.py" in unmeasured_changes(project, head_is_measured=True)[0]
    # A clone that was cut off is made again.
    (clone.root / "complete").unlink()
    (clone.root / "HEAD").unlink()
    assert load_project(start=suites).repository.resolve("HEAD") == second


def test_the_checkout_is_used_where_a_remote_of_it_is_the_url(toy, tmp_path):
    toy.commit("one")
    toy.git("remote", "add", "upstream", "git@github.com:Some/Toy.git")
    (toy.root / "asv.conf.json").write_text(
        json.dumps({"project": "toy", "repo": "https://github.com/some/toy"})
    )
    assert load_project().repository.root == toy.root.resolve()


@pytest.mark.parametrize(
    ("repo", "said"),
    [
        ("../nowhere", "which is no directory"),
        ("file:///nowhere/at/all", "does not exist|not appear to be"),
        (3, "must be a path or a URL"),
    ],
)
def test_a_repository_that_is_not_there(toy, tmp_path, repo, said):
    with pytest.raises(UsageError, match=said):
        load_project(start=own_suites(toy, tmp_path, repo))
