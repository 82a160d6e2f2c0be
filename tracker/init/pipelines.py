"""A CI system to the files that it reads: a short one to edit, and what it calls, as it is here."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Literal

from tracker.init.shapes import filled, template

__all__ = ["Ci", "pipeline"]

Ci = Literal["github", "gitlab", "jenkins"]

# What a system calls -> where it lies in this project's own repository.
_SHARED = {
    "measure.yml": ".github/workflows/measure.yml",
    "gitlab.yml": ".ci/gitlab/pacekeeper.yml",
    "pacekeeperGate.groovy": ".ci/jenkins/vars/pacekeeperGate.groovy",
}


def pipeline(system: Ci, *, branch: str, installs_project: bool) -> tuple[dict[str, str], str]:
    """Return the files of a pipeline, and what remains to be done by hand.

    Args:
        system: Which.
        branch: The branch whose commits are recorded.
        installs_project: Whether the project is a Python package, with dependencies to install.
    """
    project = " ." if installs_project else ""
    setup = f"python3 -m venv .venv && .venv/bin/pip install --quiet pacekeeper{project}"
    if system == "github":
        files = {
            ".github/workflows/pacekeeper.yml": filled(
                template("github.yml"), branch=branch, setup=setup
            ),
            ".github/workflows/pacekeeper-measure.yml": _shared("measure.yml"),
        }
        return files, "set the repository's secret PACEKEEPER_DB to the URL of a store"
    if system == "gitlab":
        files = {
            ".gitlab-ci.yml": filled(template("gitlab.yml"), branch=branch, setup=setup),
            ".gitlab/pacekeeper.yml": _shared("gitlab.yml"),
        }
        return files, "set the masked variables PACEKEEPER_DB and PACEKEEPER_GITLAB_TOKEN"
    files = {
        "Jenkinsfile": filled(template("Jenkinsfile"), branch=branch, setup=setup),
        "ci/pacekeeperGate.groovy": _shared("pacekeeperGate.groovy"),
    }
    return files, "set the credential pacekeeper-db (secret text) to the URL of a store"


def _shared(name: str) -> str:
    """Return a file that the wheel holds under tracker/ci/templates, and a checkout at its place."""
    packed = resources.files("tracker.ci") / "templates" / name
    if packed.is_file():
        return packed.read_text(encoding="utf-8")
    return (Path(__file__).parents[2] / _SHARED[name]).read_text(encoding="utf-8")
