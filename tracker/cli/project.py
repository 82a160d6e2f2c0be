"""Which project of the store a command means, and which commit a git name means."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from tracker.errors import UsageError, did_you_mean
from tracker.store import Store, queries

if TYPE_CHECKING:
    from tracker.gate.policy import Policy

__all__ = ["policy_here", "record_rules_here", "stored_project", "stored_ref"]


def stored_project(store: Store, name: str | None) -> str:
    """Return `name`, or the project of this directory, or the only one there is.

    Raises:
        UsageError: No such project, or several and none was named.
    """
    known = [project.name for project in queries.list_projects(store)]
    if name is not None:
        if name not in known:
            raise UsageError(f"no project {name!r} in the store; {did_you_mean(name, known)}")
        return name
    if len(known) == 1:
        return known[0]
    if not known:
        raise UsageError("the store has no project; measure or ingest something first")
    here = policy_here()
    if here is not None and here[0] in known:
        return here[0]
    raise UsageError(f"the store has several projects; give --project: {', '.join(known)}")


def policy_here() -> tuple[str, Policy] | None:
    """Return the name of the project of this directory and its policy; None outside any project.

    Asks files only: a repository that `repo` names by a URL is not cloned for a name.

    Raises:
        PolicyError: There is a pacekeeper.toml that cannot be read.
    """
    from tracker.asvfmt import find_project
    from tracker.asvfmt.project import CONFIG_FILES
    from tracker.gate.policy_file import POLICY_FILE, load_policy

    files = (*CONFIG_FILES, POLICY_FILE)
    start = Path.cwd()
    home = next(
        (place for place in (start, *start.parents) if any((place / f).is_file() for f in files)),
        None,
    )
    if home is None:
        return None
    policy = load_policy(start=home)
    if policy.name is not None:
        return policy.name, policy
    project = find_project(home)
    return (project.name if project.home == home.resolve() else home.name), policy


def record_rules_here(store: Store) -> None:
    """Keep the metric rules of this directory's pacekeeper.toml, if its project is in the store."""
    here = policy_here()
    if here is not None and here[0] in {info.name for info in queries.list_projects(store)}:
        store.record_metric_rules(here[0], here[1].metrics)


def stored_ref(ref: str) -> str:
    """Return the hash that `ref` has in the repository at hand, else `ref` as it is.

    The store knows hashes only; `HEAD~1`, tags and branches are git's.
    """
    if re.fullmatch(r"[0-9a-f]{40}", ref):
        return ref
    from tracker.measure.git import Repository

    try:
        return Repository.find(Path.cwd()).resolve(ref)
    except UsageError:
        return ref
