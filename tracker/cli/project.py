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

    Raises:
        PolicyError: There is a pacekeeper.toml that cannot be read.
    """
    from tracker.gate.policy_file import load_policy
    from tracker.measure.project import load_project

    try:
        project = load_project()
    except UsageError:
        policy = load_policy()
        return None if policy.name is None else (policy.name, policy)
    policy = load_policy(start=project.config_path.parent)
    return policy.name or project.name, policy


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
