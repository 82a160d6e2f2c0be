"""The rules that a change is judged by: policy and suites of the merge base, never its own.

A pull request that edits its policy, `asv.conf.json` or suites is judged with those of the commit
at which it left the target branch; the report lists what it edits. Where the suites are the same
as there, the gate runs in the checkout at hand, with everything that it has warm. A project whose
suites live outside the measured repository has rules that its pull requests cannot reach.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tracker.asvfmt.project import strip_comments
from tracker.errors import UsageError
from tracker.measure.git import Repository
from tracker.measure.project import CONFIG_NAMES
from tracker.measure.worktree import Worktrees
from tracker.report.numbers import some_of

__all__ = ["Rules", "merge_base", "rules_of_base"]

POLICY_FILE = "pacekeeper.toml"


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules that `tracker gate` is called with.

    Attributes:
        policy: The policy file to judge by; None for the one that the gate finds itself.
        config: The `asv.conf.json` to measure with; None for the one that the gate finds itself.
        notices: Sentences on what of the change was not used for judging it; the report's warnings.
        project: Name of a project that is called after its folder; a worktree's is another.
    """

    policy: Path | None
    config: Path | None
    notices: tuple[str, ...] = ()
    project: str | None = None


def merge_base(repository: Repository, target: str, head: str) -> str:
    """Return the full hash of the commit at which `head` left `target`.

    Raises:
        UsageError: One of them is unknown, or they have no common ancestor in this clone.
    """
    first, second = repository.resolve(target), repository.resolve(head)
    try:
        return repository.run("merge-base", first, second).strip()
    except UsageError:
        raise UsageError(
            f"{head} and {target} have no common ancestor here; fetch the whole history"
        ) from None


@contextmanager
def rules_of_base(
    repository: Repository,
    base: str,
    *,
    start: Path,
    scratch: Path,
    policy: Path | None = None,
    config: Path | None = None,
) -> Iterator[Rules]:
    """Yield the rules of commit `base`; its worktree is kept while the context is open.

    Args:
        repository: Holds `base`.
        base: Full hash of the merge base.
        start: Directory that the gate is called in; inside the checkout.
        scratch: Where the base's policy is written to.
        policy: Instead of `pacekeeper.toml` beside `asv.conf.json`. A path inside the checkout is
            read from the base; one outside of it belongs to the machine and is taken as it is.
        config: Instead of the nearest `asv.conf.json` at or above `start`; likewise.

    Raises:
        UsageError: The base has no suites, or not the policy that was named.
        MeasurementError: git could not make the worktree.
    """
    root, start = repository.root.resolve(), start.resolve()
    place = _inside(root, start / (config or ""))
    policy_path = _inside(root, start / policy) if policy is not None else None
    if place is None and policy_path is None:
        yield Rules(start / policy if policy is not None else None, config)
        return
    tree = _Tree(repository, base)
    notices: list[str] = []
    project = None if place is None else _project_file(tree, place, named=config is not None)
    policy_file = start / (policy or "")
    if policy is None or policy_path is not None:
        path = policy_path or project.parent / POLICY_FILE  # type: ignore[union-attr]
        text = tree.text(path)
        if text is None and policy is not None:
            raise UsageError(
                f"{path} is not in the merge base {base[:8]}; a change cannot bring the policy "
                "that judges it: merge the policy first"
            )
        policy_file = scratch / "policy-of-merge-base.toml"
        policy_file.write_text(text or "", encoding="utf-8")
        if tree.differs([path]):
            did = "adds" if text is None else "edits"
            by = (
                "the default policy" if text is None else f"the policy of the merge base {base[:8]}"
            )
            notices.append(f"This change {did} {path}. It was judged by {by}.")

    changed = {} if project is None else tree.differs(_measuring(tree, project))
    if project is None or not changed:
        yield Rules(policy_file, config, tuple(notices))
        return
    if set(changed) != {str(project.parent / POLICY_FILE)}:
        notices.append(_suites_notice(base, changed))
    name = root.name if project.name == POLICY_FILE and not _is_named(policy_file) else None
    with Worktrees(repository).checkout(base) as checkout:
        yield Rules(policy_file, checkout / project, tuple(notices), name)


def _suites_notice(base: str, changed: dict[str, str]) -> str:
    """Say which suites the change edits, and that what it adds is not judged yet."""
    edits = [f"{name} ({did})" for name, did in sorted(changed.items())]
    new = any(did == "new" for did in changed.values())
    return (
        f"This change edits the suites: {some_of(edits, 10)}. Both commits were measured with "
        f"the suites of the merge base {base[:8]}."
        + (" What is new is judged from the next change on." if new else "")
    )


class _Tree:
    """Files of one commit, and how the checkout at hand differs from them."""

    def __init__(self, repository: Repository, commit: str) -> None:
        self._repository = repository
        self._commit = commit

    def text(self, path: PurePosixPath) -> str | None:
        """The file's content; None where the commit has no such file."""
        if not self.has(path):
            return None
        return self._repository.run("show", f"{self._commit}:{path}")

    def has(self, path: PurePosixPath) -> bool:
        listed = self._repository.run("ls-tree", "-z", "--full-tree", self._commit, "--", str(path))
        return " blob " in listed

    def differs(self, paths: Sequence[PurePosixPath]) -> dict[str, str]:
        """What of `paths` is edited, new or removed in the checkout, by file name."""
        words = [f":(top,literal){path}" for path in paths]
        listed = self._repository.run(
            "diff",
            "--no-ext-diff",
            "--no-renames",
            "--ignore-submodules=none",
            "--name-status",
            "-z",
            self._commit,
            "--",
            *words,
        ).split("\0")
        did = {"A": "new", "D": "removed"}
        changed = {
            name: did.get(status, "edited")
            for status, name in zip(listed[::2], listed[1::2], strict=False)
        }
        others = self._repository.run(
            "ls-files", "--others", "--exclude-standard", "-z", "--full-name", "--", *words
        )
        return changed | {name: "new" for name in others.split("\0") if name}


def _project_file(tree: _Tree, place: PurePosixPath, *, named: bool) -> PurePosixPath:
    """The file of the base that says how to measure: `asv.conf.json`, or a policy with another runner.

    Raises:
        UsageError: There is none.
    """
    if named:
        if tree.has(place):
            return place
        raise UsageError(f"the merge base has no {place}; a change cannot bring its own suites")
    for directory in (place, *place.parents):
        for name in CONFIG_NAMES:
            if tree.has(directory / name):
                return directory / name
        if _measures_without_asv(tree.text(directory / POLICY_FILE) or ""):
            return directory / POLICY_FILE
    raise UsageError(
        "the merge base has no asv.conf.json: there is nothing to judge this change by. "
        "The suites that it brings are used once it is merged"
    )


def _measures_without_asv(policy: str) -> bool:
    return _entry(policy, "measure", "runner") not in (None, "asv")


def _is_named(policy: Path) -> bool:
    return _entry(policy.read_text(encoding="utf-8"), "project", "name") is not None


def _entry(policy: str, table: str, key: str) -> object:
    """An entry of a policy; None without it. What is wrong in the file the gate says."""
    try:
        content = tomllib.loads(policy).get(table, {})
    except tomllib.TOMLDecodeError:
        return None
    return content.get(key) if isinstance(content, dict) else None


def _measuring(tree: _Tree, project: PurePosixPath) -> list[PurePosixPath]:
    """What decides how both commits are measured: the project's file, and asv's suites."""
    return [project] if project.name == POLICY_FILE else [project, _suites_of(tree, project)]


def _suites_of(tree: _Tree, config: PurePosixPath) -> PurePosixPath:
    """Where the base keeps its suites, relative to the repository.

    Raises:
        UsageError: The base's `asv.conf.json` cannot be read, or they lie outside.
    """
    try:
        content = json.loads(strip_comments(tree.text(config) or ""))
        benchmark_dir = content.get("benchmark_dir", "benchmarks")
        path = os.path.normpath(config.parent / benchmark_dir)
    except (ValueError, TypeError, AttributeError) as error:
        raise UsageError(f"{config} of the merge base cannot be read: {error}") from None
    if path.startswith(("..", "/")):
        raise UsageError(f"{config} of the merge base: benchmark_dir lies outside the repository")
    return PurePosixPath(path)


def _inside(root: Path, path: Path) -> PurePosixPath | None:
    """`path` relative to `root`; None where it lies elsewhere.

    Links are not followed: a change could make one that leads out of the repository.
    """
    full = Path(os.path.normpath(path))
    return PurePosixPath(full.relative_to(root)) if full.is_relative_to(root) else None
