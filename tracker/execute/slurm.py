"""Slurm as an executor: `sbatch --exclusive`, `squeue`, `scancel`."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Collection, Mapping, Sequence

from tracker.errors import ExecutorError
from tracker.execute.protocol import Order, Status
from tracker.execute.remote import order_on_node
from tracker.execute.settings import ExecutorSettings
from tracker.measure.machine import NODE

__all__ = ["SlurmExecutor"]

TIMEOUT = 30.0  # seconds for one command of Slurm
_WAITING = {"PENDING", "CONFIGURING", "SUSPENDED", "REQUEUED", "REQUEUE_HOLD", "RESV_DEL_HOLD"}
_RUNNING = {"RUNNING", "COMPLETING", "STOPPED", "SIGNALING", "STAGE_OUT", "RESIZING"}
# A measurement cleans up on SIGTERM; what the node's own shell would set is its own.
_PASSED_ON = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "VIRTUAL_ENV")


class SlurmExecutor:
    """Runs orders as batch jobs that have a node for themselves.

    Slurm's own requeueing is off: our queue hands out a job whose node died with a new number, so
    that the old process, should it still run, can write nothing.

    Args:
        settings: Of pacekeeper.toml.
    """

    def __init__(self, settings: ExecutorSettings) -> None:
        self._settings = settings
        self.name = settings.name
        self.machine = settings.machine or settings.name
        self.slots = settings.jobs

    def submit(self, order: Order) -> str:
        order = order_on_node(order, self._settings)
        for job_id, (name, status) in self._listed().items():
            if name == order.name and status.state != "ended":
                return job_id  # the service was cut off before it noted the id
        environment = {**os.environ, **order.environment}
        exported = [name for name in (*_PASSED_ON, *order.environment) if name in environment]
        done = self._run(
            *("sbatch", "--parsable", "--exclusive", "--no-requeue"),
            *("--job-name", order.name, "--chdir", order.directory),
            *("--export", ",".join(dict.fromkeys(exported))),
            *self._wanted(order),
            script=_script(order.command),
            environment=environment,
        )
        return done.strip().partition(";")[0]

    def _wanted(self, order: Order) -> list[str]:
        settings = self._settings
        options = {
            "--partition": settings.partition,
            "--constraint": settings.constraint,
            "--gpus-per-node": settings.gpus,
            "--time": settings.time_limit,
            "--exclude": ",".join(sorted(order.avoid)) or None,
            # Slurm fails a job whose output has no place; elsewhere the nodes' own is not known.
            "--output": order.log if settings.directory is None else "/dev/null",
        }
        given = [f"{key}={value}" for key, value in options.items() if value is not None]
        return [*given, *settings.options]

    def statuses(self, handles: Collection[str]) -> Mapping[str, Status]:
        listed = self._listed() if handles else {}
        gone = ("", Status("ended", text="Slurm lists it no more"))
        return {handle: listed.get(handle, gone)[1] for handle in handles}

    def cancel(self, handle: str) -> None:
        self._run("scancel", "--quiet", handle)

    def _listed(self) -> dict[str, tuple[str, Status]]:
        """Return name and state of this user's jobs by id, those that ended lately included."""
        text = self._run("squeue", "--me", "--states=all", "--noheader", "--format=%i|%j|%T|%N|%r")
        listed: dict[str, tuple[str, Status]] = {}
        for line in text.splitlines():
            job_id, name, state, node, reason = line.strip().split("|", 4)
            listed[job_id] = name, _status(state, node, reason)
        return listed

    def _run(
        self,
        *command: str,
        script: str | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> str:
        where = f"executor {self.name}: {command[0]}"
        try:
            done = subprocess.run(
                command, input=script or "", env=environment, capture_output=True, text=True,
                timeout=TIMEOUT, check=False,
            )  # fmt: skip
        except FileNotFoundError:
            raise ExecutorError(
                f"{where} is not installed here; install Slurm's client (Debian: slurm-client)"
            ) from None
        except subprocess.TimeoutExpired:
            raise ExecutorError(
                f"{where} did not answer within {TIMEOUT:g} s; is slurmctld up (scontrol ping)?"
            ) from None
        if done.returncode != 0:
            lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
            raise ExecutorError(f"{where}: {lines[-1]}")
        return done.stdout


def _script(command: Sequence[str]) -> str:
    return f'#!/bin/sh\n{NODE}="$SLURMD_NODENAME"\nexport {NODE}\nexec {shlex.join(command)}\n'


def _status(state: str, node: str, reason: str) -> Status:
    if state in _WAITING:
        return Status("waiting", text=f"Slurm: {state} ({reason})")
    if state in _RUNNING:
        return Status("running", node=node or None)
    return Status("ended", node=node or None, text=f"Slurm: {state} on {node or 'no node'}")
