"""The repository behind a URL: the checkout at hand where it is the same, else a clone of our own."""

from __future__ import annotations

import fcntl
import hashlib
import re
import shutil
from pathlib import Path

from tracker.errors import MeasurementError, UsageError
from tracker.measure.git import Repository
from tracker.measure.worktree import NO_HOOKS, locked, state_dir

__all__ = ["is_url", "repository_of_url"]


def is_url(repo: str) -> bool:
    """Return whether asv's `repo` is a URL (`https://…`, `git@host:path`), not a path."""
    return "://" in repo or re.match(r"[\w.-]+@[\w.-]+:", repo) is not None


def repository_of_url(url: str, home: Path) -> Repository:
    """Return a local repository of `url`, its branches and tags up to date.

    Args:
        url: As asv's configuration has it.
        home: Directory of the configuration. The checkout that it lies in is used where one of
            its remotes is `url`; else a bare clone is kept in the tracker's directory here.

    Raises:
        UsageError: The clone or the update failed; the message carries git's own.
    """
    try:
        here = Repository.find(home)
    except UsageError:
        pass
    else:
        if _repository_key(url) in {_repository_key(remote) for remote in here.remote_urls()}:
            return here
    try:
        folder = state_dir(home) / "clones"
        folder.mkdir(exist_ok=True)
    except MeasurementError as error:
        raise UsageError(str(error)) from None
    name = re.sub(r"\W+", "-", _repository_key(url).rpartition("/")[2])
    path = folder / f"{name}-{hashlib.sha256(url.encode()).hexdigest()[:8]}.git"
    with locked(folder / f"{path.name}.lock", fcntl.LOCK_EX):
        if not (path / "complete").exists():
            shutil.rmtree(path, ignore_errors=True)  # a clone that was cut off
            Repository(folder).run(*NO_HOOKS, "clone", "--quiet", "--bare", url, str(path))
            (path / "complete").touch()
        clone = Repository(path)
        branches = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
        clone.run(*NO_HOOKS, "fetch", "--quiet", "--prune", "origin", *branches)
    return clone


def _repository_key(url: str) -> str:
    """A URL without scheme, user and `.git`, in which URLs of one repository may differ."""
    url = re.sub(r"^[a-z+]+://", "", url, flags=re.IGNORECASE)
    url = re.sub(r"^[^/@]*@", "", url).removesuffix("/").removesuffix(".git")
    return url.replace(":", "/").lower()
