"""The commits of a branch: git lists them, a pure function chooses the new ones."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from tracker.errors import UsageError
from tracker.measure.git import Repository

__all__ = ["fetch_head", "new_of", "recent_commits"]


def fetch_head(repository: Repository, branch: str) -> str:
    """Fetch `branch` from the remote, where there is one, and return its head's full hash.

    Only the remote-tracking ref moves: the checkout and its branches stay as they are.

    Raises:
        UsageError: The fetch failed, or there is no such branch.
    """
    remotes = repository.run("remote").split()
    if not remotes:
        try:
            return repository.resolve(f"refs/heads/{branch}")
        except UsageError:
            raise UsageError(f"no branch {branch!r} in {repository.root}; give --branch") from None
    remote = "origin" if "origin" in remotes else remotes[0]
    tracking = f"refs/remotes/{remote}/{branch}"
    repository.run("fetch", "--quiet", "--no-tags", remote, f"+refs/heads/{branch}:{tracking}")
    return repository.resolve(tracking)


def recent_commits(repository: Repository, head: str, *, limit: int) -> list[str]:
    """Full hashes of the newest `limit` commits of the branch at `head`, newest first.

    First parents only: the history of the branch, not every commit of what was merged into it.
    """
    if limit < 1:
        raise UsageError(f"a limit of {limit} commits asks for nothing")
    text = repository.run("rev-list", "--first-parent", f"--max-count={limit}", head, "--")
    return text.split()


def new_of(
    newest_first: Sequence[str], measured: Collection[str], retry: Collection[str] = ()
) -> list[str]:
    """The commits since the last measured one and the earlier ones to try again, oldest first.

    If none of them was ever measured, the result is the head alone: a service that starts on an old
    repository does not measure its whole history (`tracker run RANGE` does).

    Args:
        newest_first: The branch.
        measured: Commits that have values.
        retry: Commits that failed and are to be tried again.
    """
    since = next(
        (place for place, commit in enumerate(newest_first) if commit in measured),
        1,  # the head alone
    )
    again = [c for c in newest_first[since:] if c in retry and c not in measured]
    return [*reversed(again), *reversed(newest_first[:since])]
