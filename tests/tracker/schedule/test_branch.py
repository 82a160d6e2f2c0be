"""What is new on a branch."""

import pytest

from tests.tracker.schedule.projects import clone, commit, git, make_project
from tracker.errors import UsageError
from tracker.measure.git import Repository
from tracker.schedule.branch import fetch_head, new_of, recent_commits


@pytest.mark.parametrize(
    ("measured", "expected"),
    [
        (["c"], ["d", "e"]),
        (["e"], []),
        (["a", "c"], ["d", "e"]),
        (["a", "d"], ["e"]),  # a gap behind the newest measured one is left to `tracker run`
        ([], ["e"]),
        (["x"], ["e"]),
    ],
)
def test_new_since_the_last_measured(measured, expected):
    assert new_of(["e", "d", "c", "b", "a"], measured) == expected


@pytest.mark.parametrize(
    ("measured", "retry", "expected"),
    [
        (["d"], ["a", "c"], ["a", "c", "e"]),
        (["e"], ["b"], ["b"]),
        (["c", "e"], ["c", "x"], []),  # measured since, or no longer of the branch
        (["c"], ["d"], ["d", "e"]),
        ([], ["d"], ["d", "e"]),
    ],
)
def test_earlier_failures_are_tried_again(measured, retry, expected):
    assert new_of(["e", "d", "c", "b", "a"], measured, retry) == expected


def test_nothing_is_new_in_no_history():
    assert new_of([], []) == []


def test_a_push_to_the_remote_is_seen_and_the_checkout_stays(tmp_path):
    remote = make_project(tmp_path / "remote")
    here = clone(remote, tmp_path / "here")
    head = git(here, "rev-parse", "HEAD")
    pushed = [commit(remote, number) for number in (1, 2)]
    repository = Repository.find(here)
    found = fetch_head(repository, "main")
    assert found == pushed[-1]
    assert recent_commits(repository, found, limit=2) == pushed[::-1]
    assert git(here, "rev-parse", "HEAD") == head
    assert git(here, "status", "--porcelain") == ""


def test_a_rewritten_branch_is_followed(tmp_path):
    remote = make_project(tmp_path / "remote")
    commit(remote, 1)
    here = clone(remote, tmp_path / "here")
    git(remote, "reset", "-q", "--hard", "HEAD~1")
    rewritten = commit(remote, 2)
    assert fetch_head(Repository.find(here), "main") == rewritten


def test_a_repository_without_a_remote_uses_its_own_branch(tmp_path):
    root = make_project(tmp_path / "alone")
    assert fetch_head(Repository.find(root), "main") == git(root, "rev-parse", "HEAD")


def test_an_unknown_branch_is_named(tmp_path):
    root = make_project(tmp_path / "alone")
    with pytest.raises(UsageError, match=r"no branch 'trunk' in .*; give --branch"):
        fetch_head(Repository.find(root), "trunk")
    here = clone(root, tmp_path / "here")
    with pytest.raises(UsageError, match="trunk"):
        fetch_head(Repository.find(here), "trunk")


def test_first_parents_only(tmp_path):
    root = make_project(tmp_path / "alone")
    git(root, "checkout", "-q", "-b", "side")
    side = commit(root, 1)
    git(root, "checkout", "-q", "main")
    (root / "other").write_text("x")
    main = git(root, "rev-parse", "HEAD")
    git(root, "merge", "-q", "--no-ff", "-m", "Merge", "side")
    merge = git(root, "rev-parse", "HEAD")
    found = recent_commits(Repository.find(root), merge, limit=10)
    assert found == [merge, main]
    assert side not in found
