"""The one place that knows which runner a project's policy asks for."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from tracker.gate.policy import Policy
from tracker.measure.asv.environments import environment_names
from tracker.measure.asv.runner import AsvRunner
from tracker.measure.command import CommandRunner
from tracker.measure.launch import Runner
from tracker.measure.project import MeasuredProject

__all__ = ["make_runner"]


def make_runner(
    project: MeasuredProject,
    policy: Policy,
    *,
    machine: str,
    python: str | None = None,
    variables: Mapping[str, str] | None = None,
    prefix: Sequence[str] = (),
) -> Runner:
    """Return what measures launches of `project` as `policy` says.

    Args:
        project: What is measured.
        policy: Its `bench`, `timeout` and `[measure]` count.
        machine: Name the results carry.
        python: The interpreter that runs the suites; this one by default.
        variables: What launches see beside the user's own environment.
        prefix: What asv's command is put behind: a profiler and its arguments.

    Raises:
        UsageError: There is no such interpreter or environment.
    """
    settings = policy.measure
    options: dict[str, Any] = {
        "machine": machine, "python": python, "bench": policy.bench, "timeout": policy.timeout,
        "variables": variables, "prefix": prefix,
    }  # fmt: skip
    if settings.runner == "command":
        return CommandRunner(project, settings, **options)
    if settings.runner == "server":
        from tracker.measure.server import ServerRunner  # loads the HTTP client

        return ServerRunner(project, settings, **options)
    wanted = settings.environment
    if wanted is not None:
        (wanted,) = environment_names(project, python or sys.executable, wanted)
    return AsvRunner(project, settings, environment=wanted, **options)
