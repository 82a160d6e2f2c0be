"""What the tracker asks of git, each question one subprocess and one clear error."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tracker.errors import UsageError

__all__ = ["Commit", "Repository", "commit_url_template"]

# ASCII unit separator. A subject may hold any character but NUL, so it comes last in a record.
_FIELD = "\x1f"


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit as git describes it."""

    hash: str
    committed_at: datetime
    parents: tuple[str, ...]
    subject: str
    author: str = ""  # the name alone

    @property
    def short(self) -> str:
        return self.hash[:8]


class Repository:
    """A git repository that exists, addressed by its top level directory."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @classmethod
    def find(cls, start: Path) -> Repository:
        """Return the repository that `start` lies in.

        Raises:
            UsageError: git is not installed, `start` is in no repository, or git refuses it (a
                checkout that another user owns); the message carries git's own.
        """
        if not start.is_dir():
            raise UsageError(f"{start}: no such directory")
        done = _git(start, "rev-parse", "--show-toplevel")
        if done.returncode == 0:
            return cls(Path(done.stdout.removesuffix("\n")))
        bare = _git(start, "rev-parse", "--absolute-git-dir")
        if bare.returncode == 0:  # a repository without a checkout
            return cls(Path(bare.stdout.removesuffix("\n")))
        if "not a git repository" in done.stderr:
            raise UsageError(
                f"{start} is not in a git repository; run this inside the project's checkout"
            )
        raise UsageError(f"git refuses {start}: {_complaint(done.stderr)}")

    def run(self, *args: str) -> str:
        """Return what `git args...` prints.

        Raises:
            UsageError: git failed; the message carries its own.
        """
        done = _git(self.root, *args)
        if done.returncode != 0:
            words = without_passwords(" ".join(args))
            raise UsageError(f"git {words} failed: {_complaint(done.stderr)}")
        return done.stdout

    def resolve(self, ref: str) -> str:
        """Return the full hash of the commit that `ref` names.

        Raises:
            UsageError: it names none; the message says which ref and, where known, why.
        """
        # A leading dash would be read as an option.
        done = _git(self.root, "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}")
        if done.returncode == 0 and not ref.startswith("-"):
            return done.stdout.strip()
        self._require_a_commit()
        base = re.split(r"[~^]", ref, maxsplit=1)[0]
        if base and base != ref and not ref.startswith("-"):
            known = _git(self.root, "rev-parse", "--verify", "--quiet", f"{base}^{{commit}}")
            if known.returncode == 0:
                shallow = " (the clone is shallow; fetch more)" if self.is_shallow() else ""
                raise UsageError(f"no commit {ref!r}: {base} has no such ancestor{shallow}")
        shallow = "; the clone is shallow, fetch more history" if self.is_shallow() else ""
        raise UsageError(f"unknown commit {ref!r} in {self.root}{shallow}")

    def is_shallow(self) -> bool:
        return _git(self.root, "rev-parse", "--is-shallow-repository").stdout.strip() == "true"

    def is_ancestor(self, first: str, second: str) -> bool:
        """Return whether the history of `second` holds `first`; a commit's holds itself."""
        return _git(self.root, "merge-base", "--is-ancestor", first, second).returncode == 0

    def commits(self, spec: str) -> list[Commit]:
        """Return the commits `spec` names, oldest first.

        Args:
            spec: A single commit, or any range that `git rev-list` takes (`A..B`, `HEAD~3..`,
                `v1 ^v0`). Ranges follow first parents only, so that the history of the branch
                is measured and not every commit of every merged branch.

        Raises:
            UsageError: a commit in it is unknown, or the range is empty.
        """
        words = spec.split()
        is_range = len(words) != 1 or ".." in spec or spec.startswith("^") or spec[-2:] == "^!"
        if not words or any(word.startswith("-") for word in words):
            raise UsageError(f"{spec!r} names no commits; give a commit or a range such as A..B")
        if not is_range:
            return self.describe([self.resolve(spec)])
        for ref in _refs_of(words):
            self.resolve(ref)
        done = _git(self.root, "rev-list", "--first-parent", "--reverse", *words, "--")
        if done.returncode != 0:
            raise UsageError(f"git cannot read the range {spec!r}: {_complaint(done.stderr)}")
        hashes = done.stdout.split()
        if not hashes:
            raise UsageError(f"the range {spec!r} is empty; are its ends the wrong way round?")
        return self.describe(hashes)

    def describe(self, hashes: Sequence[str]) -> list[Commit]:
        """Return the commits of `hashes`, in their order."""
        form = _FIELD.join(("%H", "%cI", "%P", "%aN", "%s"))
        text = _git_input(self.root, "\n".join(hashes), "log", "-z", "--no-walk=unsorted", "--stdin",
                          f"--format={form}")  # fmt: skip
        by_hash: dict[str, Commit] = {}
        for record in filter(None, text.split("\0")):
            digest, when, parents, author, subject = record.split(_FIELD, 4)
            by_hash[digest] = Commit(
                hash=digest,
                committed_at=datetime.fromisoformat(when).astimezone(UTC),
                parents=tuple(parents.split()),
                subject=subject,
                author=author,
            )
        return [by_hash[digest] for digest in hashes]

    def linked(self, hashes: Sequence[str]) -> list[Commit]:
        """Return those of `hashes` that the clone has, and the commits that lie between them.

        With the latter every known commit is joined to its measured ancestors by parents.
        """
        known = list(self.trees(hashes))
        if not known:
            return []
        described = self.describe(known)
        oldest = min(described, key=lambda commit: commit.committed_at)
        asked = "\n".join([*known, *(f"^{parent}" for parent in oldest.parents)])
        between = _git_input(self.root, asked, "rev-list", "--stdin").split()
        listed = dict.fromkeys([*between, *known])
        return self.describe(list(listed))

    def messages(self, base: str, head: str) -> list[tuple[str, str]]:
        """Return (hash, whole message) of every commit that `head` has and `base` lacks, newest first.

        Raises:
            UsageError: git failed; the message carries its own.
        """
        text = self.run("log", "-z", f"--format=%H{_FIELD}%B", f"{base}..{head}", "--")
        entries = [entry.split(_FIELD, 1) for entry in text.split("\0") if entry.strip()]
        return [(digest.strip(), message) for digest, message in entries]

    def last_tag(self, ref: str, pattern: str) -> tuple[str, Commit] | None:
        """Return the nearest tag at or before `ref` that matches a glob, with its commit; or None."""
        done = _git(self.root, "describe", "--tags", "--abbrev=0", f"--match={pattern}", ref)
        tag = done.stdout.strip()
        if done.returncode != 0 or not tag:
            return None
        (commit,) = self.describe([self.resolve(f"refs/tags/{tag}")])
        return tag, commit

    def trees(self, hashes: Sequence[str]) -> dict[str, str]:
        """Return the tree of every commit of `hashes` that the clone has."""
        names = "\n".join(f"{commit}^{{tree}}" for commit in hashes)
        text = _git_input(self.root, names, "cat-file", "--batch-check=%(objectname)")
        return {
            commit: tree
            for commit, tree in zip(hashes, text.splitlines(), strict=True)
            if not tree.endswith("missing")
        }

    def branch(self) -> str | None:
        """Return the checked-out branch, or None on a detached HEAD."""
        return _git(self.root, "symbolic-ref", "--quiet", "--short", "HEAD").stdout.strip() or None

    def dirty(self) -> list[Path]:
        """Return tracked files with uncommitted changes and untracked ones, relative to the root.

        A bare repository has none.
        """
        done = _git(self.root, "status", "--porcelain", "-z", "--untracked-files=all")
        files: list[Path] = []
        entries = iter(done.stdout.split("\0"))
        for entry in entries:
            if len(entry) < 4:
                continue
            files.append(Path(entry[3:]))
            if entry[0] in "RC":  # a rename is followed by the name it had
                next(entries, None)
        return sorted(files)

    def remote_url(self) -> str | None:
        """Return the URL of `origin`, or of the only remote; None without one."""
        names = _git(self.root, "remote").stdout.split()
        if not names:
            return None
        name = "origin" if "origin" in names else names[0]
        return _git(self.root, "remote", "get-url", name).stdout.strip() or None

    def remote_urls(self) -> list[str]:
        """Return the URLs of all remotes."""
        done = _git(self.root, "config", "-z", "--get-regexp", r"^remote\..*\.url$")
        return [entry.partition("\n")[2] for entry in done.stdout.split("\0") if entry]

    def _require_a_commit(self) -> None:
        if _git(self.root, "rev-parse", "--verify", "--quiet", "HEAD").returncode != 0:
            any_commit = _git(self.root, "rev-list", "--all", "--max-count=1").stdout.strip()
            if not any_commit:
                raise UsageError(f"the repository {self.root} has no commits yet")


def commit_url_template(remote: str | None) -> str | None:
    """Return the web address of a commit, with `{commit}`, for a GitHub or GitLab remote.

    Anything else, a path or another host, gives None.
    """
    if remote is None:
        return None
    match = re.match(
        r"(?:(?:https?|ssh|git)://(?:[^@/]+@)?|[^@/:]+@)(?P<host>[^:/]+)(?::\d+)?[:/](?P<path>.+?)(?:\.git)?/?$",
        remote,
    )
    if match is None:
        return None
    host, path = match["host"].lower(), match["path"].strip("/")
    if host == "github.com":
        return f"https://{host}/{path}/commit/{{commit}}"
    if host == "gitlab.com" or host.startswith("gitlab."):
        return f"https://{host}/{path}/-/commit/{{commit}}"
    return None


def _refs_of(words: Sequence[str]) -> list[str]:
    """The commits that a range names, so that an unknown one is reported by its own name."""
    refs: list[str] = []
    for word in words:
        for part in re.split(r"\.{2,3}", word):
            ref = part.removeprefix("^")
            ref = re.sub(r"\^[!@]$", "", ref)
            if ref:
                refs.append(ref)
    return refs


def _git(root: Path, *args: str) -> subprocess.CompletedProcess[str]:
    return _run(root, args, None)


def _git_input(root: Path, text: str, *args: str) -> str:
    done = _run(root, args, text)
    if done.returncode != 0:
        raise UsageError(f"git {args[0]} failed: {_complaint(done.stderr)}")
    return done.stdout


def _run(root: Path, args: Sequence[str], text: str | None) -> subprocess.CompletedProcess[str]:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *args],
            input=(text or "").encode(),
            capture_output=True,
            check=False,
        )
    except FileNotFoundError:
        raise UsageError("git is not installed, or not on PATH") from None
    # Decoded here: text mode would turn a carriage return inside a subject into a line feed.
    out, err = (stream.decode("utf-8", "replace") for stream in (done.stdout, done.stderr))
    return subprocess.CompletedProcess(done.args, done.returncode, out, err)


def _complaint(stderr: str) -> str:
    """git's own words in one line, its advice included; without its progress."""
    lines = [line.strip() for line in stderr.splitlines()]
    start = next((i for i, line in enumerate(lines) if line.startswith(("fatal:", "error:"))), 0)
    words = " ".join(filter(None, lines[start:]))
    return without_passwords(words).removeprefix("fatal: ") or "no message"


def without_passwords(text: str) -> str:
    """Return a text with what stands before the host of its URLs taken out."""
    return re.sub(r"(\w+://)[^/\s@]+@", r"\1", text)
