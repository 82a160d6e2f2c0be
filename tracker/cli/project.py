"""Which project of the store a command means, and which commit a git name means."""

from __future__ import annotations

import re
from pathlib import Path

from tracker.errors import UsageError, did_you_mean
from tracker.store import Store, queries

__all__ = ["project_name", "stored_project", "stored_ref"]


def project_name(home: Path, asv_name: str) -> str:
    """Return the name of the asv project in directory `home`: pacekeeper.toml's, else asv's.

    Raises:
        PolicyError: There is a pacekeeper.toml that cannot be read.
    """
    from tracker.gate.policy import load_policy

    return load_policy(start=home).name or asv_name


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
    from tracker.measure.project import load_project

    try:
        found = load_project()
    except UsageError:
        found = None
    if found is not None:
        here = project_name(found.config_path.parent, found.name)
        if here in known:
            return here
    raise UsageError(f"the store has several projects; give --project: {', '.join(known)}")


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
