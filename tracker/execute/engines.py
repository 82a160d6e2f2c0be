"""The one place that knows which executor a table of `[executors]` asks for."""

from __future__ import annotations

from collections.abc import Sequence

from tracker.errors import PolicyError
from tracker.execute.local import LocalExecutor
from tracker.execute.protocol import Executor
from tracker.execute.settings import ExecutorSettings

__all__ = ["executors_of"]


def executors_of(settings: Sequence[ExecutorSettings], *, machine: str) -> tuple[Executor, ...]:
    """Return the executors of a project; this machine alone where it names none.

    Args:
        settings: Of pacekeeper.toml.
        machine: The name of this machine.

    Raises:
        PolicyError: Two executors of one machine class.
        ExecutorError: What an executor needs is not installed.
    """
    made = [_executor(item, machine) for item in settings or (ExecutorSettings("local", "local"),)]
    classes = [executor.machine for executor in made]
    for name in classes:
        if classes.count(name) > 1:
            raise PolicyError(
                f"[executors] {name!r} is the name of this machine and of another executor's class; "
                "give the local executor a machine of its own"
            )
    return tuple(made)


def _executor(settings: ExecutorSettings, machine: str) -> Executor:
    if settings.kind == "slurm":
        from tracker.execute.slurm import SlurmExecutor

        return SlurmExecutor(settings)
    if settings.kind == "ray":
        from tracker.execute.ray_jobs import RayExecutor

        return RayExecutor(settings)
    return LocalExecutor(settings.name, settings.machine or machine)
