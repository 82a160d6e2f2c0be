import pytest

from tracker.errors import UsageError
from tracker.measure.git import Repository, commit_url_template

# Every character that some way of splitting lines or fields would stumble on.
SUBJECT = "three | with\ttab, \u2028, \x85, \x1c, \x1f, \r and \x0c"


@pytest.fixture
def repository(toy):
    toy.hashes = [toy.commit(name) for name in ("one", "two", SUBJECT)]
    return Repository.find(toy.root)


def test_a_single_commit_is_described_with_parent_and_subject(toy, repository):
    (found,) = repository.commits("HEAD")
    assert found.hash == toy.hashes[2]
    assert found.parents == (toy.hashes[1],)
    assert found.subject == SUBJECT
    assert found.committed_at.utcoffset().total_seconds() == 0


@pytest.mark.parametrize("spec", ["HEAD~2..HEAD", "HEAD~2..", "HEAD ^HEAD~2"])
def test_a_range_comes_oldest_first(toy, repository, spec):
    assert [commit.hash for commit in repository.commits(spec)] == toy.hashes[1:]


def test_unsorted_hashes_keep_their_order(toy, repository):
    wanted = [toy.hashes[2], toy.hashes[0], toy.hashes[1]]
    assert [commit.hash for commit in repository.describe(wanted)] == wanted


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("nonesuch", "unknown commit 'nonesuch'"),
        ("HEAD..nonesuch", "unknown commit 'nonesuch'"),
        ("HEAD~7", "HEAD has no such ancestor"),
        ("HEAD..HEAD~1", "is empty"),
        ("--all", "names no commits"),
        ("", "names no commits"),
    ],
)
def test_bad_ranges_say_what_is_wrong(repository, spec, said):
    with pytest.raises(UsageError, match=said.replace("(", r"\(")):
        repository.commits(spec)


def test_a_repository_without_commits(toy):
    with pytest.raises(UsageError, match="no commits yet"):
        Repository.find(toy.root).resolve("HEAD")


def test_no_repository(tmp_path):
    with pytest.raises(UsageError, match="not in a git repository"):
        Repository.find(tmp_path)


def test_dirty_lists_changed_renamed_and_new_files(toy, repository):
    toy.write(TTFT=9)
    (toy.root / "new file.py").touch()
    toy.git("mv", "asv.conf.json", "renamed.json")
    assert [str(path) for path in repository.dirty()] == ["new file.py", "renamed.json", "toy.py"]


@pytest.mark.parametrize(
    ("remote", "template"),
    [
        ("https://github.com/o/n.git", "https://github.com/o/n/commit/{commit}"),
        ("git@github.com:o/n.git", "https://github.com/o/n/commit/{commit}"),
        ("ssh://git@github.com:22/o/n", "https://github.com/o/n/commit/{commit}"),
        ("https://user:secret@github.com/o/n", "https://github.com/o/n/commit/{commit}"),
        ("git@gitlab.com:g/sub/n.git", "https://gitlab.com/g/sub/n/-/commit/{commit}"),
        ("https://gitlab.example.org/g/n/", "https://gitlab.example.org/g/n/-/commit/{commit}"),
        ("https://bitbucket.org/o/n", None),
        ("/srv/git/n.git", None),
        (None, None),
    ],
)
def test_commit_addresses(remote, template):
    assert commit_url_template(remote) == template


def test_a_bare_repository_is_one(toy, repository, tmp_path):
    toy.git("clone", "-q", "--bare", ".", str(tmp_path / "bare.git"))
    bare = Repository.find(tmp_path / "bare.git")
    assert bare.resolve("main") == toy.hashes[2] and bare.dirty() == []


def test_git_refuses_in_its_own_words_and_without_passwords(toy, repository, monkeypatch):
    with pytest.raises(UsageError, match="https://localhost:1/x") as caught:
        repository.run("ls-remote", "https://me:secret@localhost:1/x")
    assert "secret" not in str(caught.value)
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    with pytest.raises(UsageError, match=r"dubious ownership .* safe\.directory"):
        Repository.find(toy.root)
