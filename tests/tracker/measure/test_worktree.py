import multiprocessing

import pytest

from tracker.errors import MeasurementError
from tracker.measure.git import Repository
from tracker.measure.worktree import Worktrees


@pytest.fixture
def hashes(toy):
    return [toy.commit(f"number {n}", TTFT=n) for n in range(1, 5)]


def trees(toy, **options):
    return Worktrees(Repository.find(toy.root), **options)


def read(tree):
    return (tree / "toy.py").read_text().splitlines()[0]


def test_a_worktree_holds_the_commit_and_leaves_the_checkout_clean(toy, hashes):
    toy.write(TTFT=99)
    with trees(toy).checkout(hashes[0]) as tree:
        assert read(tree) == "TTFT = 1"
    assert toy.git("status", "--porcelain") == "M toy.py"


def test_it_is_reused(toy, hashes):
    worktrees = trees(toy)
    with worktrees.checkout(hashes[0]) as tree:
        (tree / "ignored.tmp").touch()
    with worktrees.checkout(hashes[0]) as tree:
        assert (tree / "ignored.tmp").exists()


@pytest.mark.parametrize("damage", ["edited", "moved", "unfinished", "gone", "no git file"])
def test_a_damaged_tree_is_made_again(toy, hashes, damage):
    worktrees = trees(toy)
    with worktrees.checkout(hashes[0]) as tree:
        pass
    if damage == "edited":
        (tree / "toy.py").write_text("TTFT = 1000\n")
    elif damage == "moved":
        toy.git("-C", str(tree), "checkout", "-q", hashes[1])
    elif damage == "unfinished":
        (tree / "toy.py").unlink()
        (worktrees.directory / f"{hashes[0]}.ready").unlink()
    elif damage == "no git file":
        (tree / ".git").unlink()
    else:
        toy.git("worktree", "remove", "--force", str(tree))
    with worktrees.checkout(hashes[0]) as tree:
        assert read(tree) == "TTFT = 1"


def _check(root, commit, started, answers):
    started.wait()
    with Worktrees(Repository.find(root)).checkout(commit) as tree:
        answers.put(read(tree))


def test_processes_that_ask_at_once_all_get_it(toy, hashes):
    context = multiprocessing.get_context("fork")
    started, answers = context.Event(), context.Queue()
    workers = [
        context.Process(target=_check, args=(toy.root, hashes[n % 2], started, answers))
        for n in range(6)
    ]
    for worker in workers:
        worker.start()
    started.set()
    got = sorted(answers.get(timeout=60) for _ in workers)
    for worker in workers:
        worker.join()
    assert got == ["TTFT = 1"] * 3 + ["TTFT = 2"] * 3


def test_prune_keeps_the_latest_and_those_in_use(toy, hashes):
    worktrees = trees(toy, keep=1)
    for commit in hashes[:3]:
        with worktrees.checkout(commit):
            pass
    with worktrees.checkout(hashes[0]), worktrees.checkout(hashes[3]):
        removed = worktrees.prune()
    assert sorted(removed) == sorted(hashes[1:3])
    left = {path.name for path in worktrees.directory.iterdir() if path.is_dir()}
    assert left == {hashes[0], hashes[3]}
    assert hashes[1] not in toy.git("worktree", "list")


def test_a_commit_that_git_does_not_have(toy, hashes):
    with (
        pytest.raises(MeasurementError, match="no worktree for 00000000"),
        trees(toy).checkout("0" * 40),
    ):
        pass


def test_a_users_hook_does_not_run(toy, hashes):
    hook = toy.root / ".git" / "hooks" / "post-checkout"
    hook.write_text("#!/bin/sh\nexit 2\n")
    hook.chmod(0o755)
    with trees(toy).checkout(hashes[0]) as tree:
        assert read(tree) == "TTFT = 1"


def test_pointers_of_git_lfs_are_not_measured_for_the_files(toy, hashes, monkeypatch):
    monkeypatch.delenv("GIT_LFS_SKIP_SMUDGE", raising=False)
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n"
    (toy.root / ".gitattributes").write_text("*.bin filter=lfs diff=lfs merge=lfs -text\n")
    (toy.root / "weights.bin").write_text(pointer)
    commit = toy.commit("weights in LFS")
    with (
        pytest.raises(MeasurementError, match=r"pointers: weights\.bin; install git-lfs"),
        trees(toy).checkout(commit),
    ):
        pass
    monkeypatch.setenv("GIT_LFS_SKIP_SMUDGE", "1")
    with trees(toy).checkout(commit) as tree:
        assert (tree / "weights.bin").read_text() == pointer
    monkeypatch.delenv("GIT_LFS_SKIP_SMUDGE")
    with pytest.raises(MeasurementError, match="pointers"), trees(toy).checkout(commit):
        pass  # the tree with pointers is there, and is not used now
    # The file itself: what `git lfs` leaves where it has replaced the pointer.
    (toy.root / "weights.bin").write_text("the weights")
    with trees(toy).checkout(toy.commit("weights")) as tree:
        assert (tree / "weights.bin").read_text() == "the weights"


def test_pointers_inside_a_submodule_are_seen(toy, hashes, tmp_path, monkeypatch):
    monkeypatch.delenv("GIT_LFS_SKIP_SMUDGE", raising=False)
    vendor = tmp_path / "vendor"
    vendor.mkdir()
    (vendor / ".gitattributes").write_text("*.bin filter=lfs\n")
    (vendor / "table.bin").write_text("version https://git-lfs.github.com/spec/v1\n")
    for step in ("init -q -b main .", "add .", "commit -q -m tables"):
        toy.git("-C", str(vendor), *step.split())
    allow = ("-c", "protocol.file.allow=always")
    toy.git(*allow, "submodule", "add", "-q", str(vendor), "deps/vendor")
    commit = toy.commit("with a submodule")
    with (
        pytest.raises(MeasurementError, match=r"pointers: deps/vendor/table\.bin; install"),
        trees(toy).checkout(commit),
    ):
        pass


def test_submodules_come_from_the_clone_at_hand_or_from_their_place(toy, hashes, tmp_path):
    vendor = tmp_path / "vendor"
    vendor.mkdir()
    allow = ("-c", "protocol.file.allow=always")
    for step in ("init -q -b main .", "commit -q --allow-empty -m one"):
        toy.git("-C", str(vendor), *step.split())
    toy.git(*allow, "submodule", "add", "-q", str(vendor), "deps/vendor")
    first = toy.commit("with a submodule")
    (vendor / "core.py").write_text("later")
    toy.git("-C", str(vendor), "add", ".")
    toy.git("-C", str(vendor), "commit", "-qm", "two")
    later = toy.git("-C", str(vendor), "rev-parse", "HEAD")
    # As a commit does that somebody fetched without fetching its submodule.
    toy.git("update-index", "--cacheinfo", f"160000,{later},deps/vendor")
    toy.git("commit", "-qm", "the submodule moves")
    second = toy.git("rev-parse", "HEAD")
    with trees(toy).checkout(second) as tree:
        assert (tree / "deps" / "vendor" / "core.py").read_text() == "later"
    vendor.rename(tmp_path / "gone")
    with trees(toy).checkout(first) as tree:
        assert (tree / "deps" / "vendor" / ".git").exists()
        assert not (tree / "deps" / "vendor" / "core.py").exists()
