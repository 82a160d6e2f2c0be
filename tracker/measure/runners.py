"""The one place that knows which runner a project's policy asks for."""

from __future__ import annotations

from tracker.gate.policy import Policy
from tracker.measure.asv.runner import AsvRunner
from tracker.measure.launch import Runner
from tracker.measure.project import AsvProject

__all__ = ["make_runner"]


def make_runner(
    project: AsvProject,
    policy: Policy,
    *,
    machine: str,
    python: str | None = None,
) -> Runner:
    """Return what measures launches of `project` as `policy` says.

    Args:
        project: What is measured.
        policy: Its `bench`, `timeout` and `[measure]` count.
        machine: Name the results carry.
        python: The interpreter that runs the suites; this one by default.

    Raises:
        UsageError: There is no such interpreter.
    """
    return AsvRunner(
        project,
        machine=machine,
        python=python,
        bench=policy.bench,
        timeout=policy.timeout,
        settings=policy.measure,
    )
