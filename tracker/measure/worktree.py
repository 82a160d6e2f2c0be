"""A commit in a git worktree of its own, under `.pacekeeper/worktrees/<hash>`.

Made once, reused, pruned when old. Two processes may ask for the same commit at once, and a
process may die half way through making one, so three things stand beside the trees:

- `.lock`, held while trees are made or removed;
- `<hash>.ready`, written when a tree is complete: without it a tree is rubbish and made again;
- `<hash>.lock`, held shared while somebody measures in the tree, so that nobody prunes it.

All are flock locks, which the kernel drops when their process dies.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from tracker.errors import MeasurementError, UsageError
from tracker.measure.git import Repository
from tracker.report.numbers import some_of

__all__ = ["NO_HOOKS", "STATE_DIR", "Worktrees", "locked", "state_dir"]

STATE_DIR = ".pacekeeper"
_LFS_POINTER = b"version https://git-lfs.github.com/spec/"
# Hooks are the user's for the user's own checkouts; a failing one must not keep a commit from
# being measured.
NO_HOOKS = ("-c", "core.hooksPath=/dev/null")


def state_dir(root: Path) -> Path:
    """Return the directory of the tracker's own files in a checkout, ignored by git.

    Raises:
        MeasurementError: it cannot be made.
    """
    directory = root / STATE_DIR
    try:
        directory.mkdir(exist_ok=True)
        ignore = directory / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", encoding="utf-8")
    except OSError as error:
        raise MeasurementError(f"cannot write to {directory}: {error.strerror}") from None
    return directory


class Worktrees:
    """The worktrees of one repository.

    Args:
        repository: Where the commits come from.
        keep: Trees that stay after `prune`, most recently used first.
    """

    def __init__(self, repository: Repository, *, keep: int = 16) -> None:
        self._repository = repository
        self._keep = keep
        self.directory = state_dir(repository.root) / "worktrees"
        self.directory.mkdir(exist_ok=True)

    @contextmanager
    def checkout(self, commit: str) -> Iterator[Path]:
        """Yield a directory that holds `commit` as git has it, and nothing else.

        Nobody prunes it while the context is open.

        Args:
            commit: A full hash.

        Raises:
            MeasurementError: git could not make the tree (disk full, a missing object).
        """
        path = self.directory / commit
        with locked(self.directory / f"{commit}.lock", fcntl.LOCK_SH):
            with locked(self.directory / ".lock", fcntl.LOCK_EX):
                if not self._is_complete(path, commit):
                    self._make(path, commit)
            self._ready(commit).touch()  # the time of last use, for prune
            yield path

    def prune(self) -> list[str]:
        """Remove all but the most recently used trees; return the hashes removed.

        Trees in use stay, whoever uses them.
        """
        removed: list[str] = []
        with locked(self.directory / ".lock", fcntl.LOCK_EX):
            trees = [path for path in self.directory.iterdir() if path.is_dir()]
            trees.sort(key=self._last_used, reverse=True)
            for path in trees[self._keep :]:
                lock = self.directory / f"{path.name}.lock"
                try:
                    with locked(lock, fcntl.LOCK_EX | fcntl.LOCK_NB):
                        self._remove(path)
                except BlockingIOError:
                    continue
                removed.append(path.name)
        return removed

    def _ready(self, commit: str) -> Path:
        return self.directory / f"{commit}.ready"

    def _last_used(self, path: Path) -> float:
        marker = self._ready(path.name)
        return marker.stat().st_mtime if marker.exists() else 0.0

    def _is_complete(self, path: Path, commit: str) -> bool:
        if not self._ready(commit).exists() or not path.is_dir():
            return False
        tree = Repository(path)
        try:
            # Somebody may have worked in there: a changed tree is not the commit any more.
            at = tree.run("rev-parse", "HEAD").strip()
            changed = tree.run("status", "--porcelain", "--untracked-files=no").strip()
            return at == commit and not changed and not _lfs_pointers(tree)
        except UsageError:
            return False

    def _make(self, path: Path, commit: str) -> None:
        self._remove(path)
        try:
            add = ("worktree", "add", "--force", "--detach", str(path), commit)
            self._repository.run(*NO_HOOKS, *add)
            if (path / ".gitmodules").is_file():
                self._add_submodules(Repository(path))
            pointers = _lfs_pointers(Repository(path))
        except UsageError as error:
            raise MeasurementError(f"no worktree for {commit[:8]}: {error}") from None
        if pointers:
            raise MeasurementError(
                f"no worktree for {commit[:8]}: Git LFS did not replace its pointers: "
                f"{some_of(pointers, 1)}; install git-lfs (`git lfs install`) and fetch the files, or "
                "set GIT_LFS_SKIP_SMUDGE=1 if the benchmarks do not need them"
            )
        self._ready(commit).touch()

    def _add_submodules(self, tree: Repository) -> None:
        """Check out the submodules of a tree, from the clones at hand where they have the commits."""
        git_dir = Path(self._repository.run("rev-parse", "--absolute-git-dir").strip())
        update = ("submodule", "update", "--init", "--recursive", "--force")
        # As asv does; what the commit names as its submodule's place is trusted like its code.
        allow = (*NO_HOOKS, "-c", "protocol.file.allow=always")
        listing = ("config", "-z", "--file", ".gitmodules", "--get-regexp", r"\.path$")
        local: list[str] = []
        paths: list[Path] = []
        for entry in filter(None, tree.run(*listing).split("\0")):
            key, _, path = entry.partition("\n")
            name = key.removeprefix("submodule.").removesuffix(".path")
            if (place := (tree.root / path).resolve()).is_relative_to(tree.root.resolve()):
                paths.append(place)
            if (git_dir / "modules" / name).is_dir():
                local += ["-c", f"submodule.{name}.url={git_dir / 'modules' / name}"]
        if local:
            try:
                tree.run(*allow, *local, *update)
                return
            except UsageError:
                # A commit that the clone at hand has not fetched: begin again, from its own place.
                own = Path(tree.run("rev-parse", "--absolute-git-dir").strip())
                for folder in (own / "modules", *paths):
                    shutil.rmtree(folder, ignore_errors=True)
        tree.run(*allow, *update)

    def _remove(self, path: Path) -> None:
        for marker in self.directory.glob(f"{path.name}.*"):
            if marker.suffix != ".lock":  # of what was made, built and compiled there
                marker.unlink(missing_ok=True)
        if path.exists():
            shutil.rmtree(path, ignore_errors=True)
        self._repository.run("worktree", "prune")


def _lfs_pointers(tree: Repository) -> list[str]:
    """Return the files of a tree, its submodules' included, for which Git LFS left a pointer.

    None where the user asked for pointers (GIT_LFS_SKIP_SMUDGE).
    """
    if os.environ.get("GIT_LFS_SKIP_SMUDGE"):
        return []
    places = [tree.root]
    if (tree.root / ".gitmodules").is_file():
        listing = ("submodule", "foreach", "--quiet", "--recursive")
        submodules = tree.run(*listing, 'printf "%s\\0" "$toplevel/$sm_path"').split("\0")
        places += map(Path, filter(None, submodules))
    pointers: list[str] = []
    for place in places:
        names = Repository(place).run("ls-files", "-z", ":(attr:filter=lfs)").split("\0")
        for path in (place / name for name in names if name):
            # Not a submodule's or a link's name: git put there what it has.
            if path.is_file() and _begins_with(path, _LFS_POINTER):
                pointers.append(os.path.relpath(path.resolve(), tree.root.resolve()))
    return pointers


def _begins_with(path: Path, text: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(text)) == text


@contextmanager
def locked(path: Path, operation: int) -> Iterator[IO[bytes]]:
    """Hold a flock on a file, made where it is missing.

    Raises:
        BlockingIOError: Somebody holds it, and `operation` says not to wait.
    """
    handle = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644), "r+b")
    try:
        fcntl.flock(handle, operation)
        yield handle
    finally:
        handle.close()
