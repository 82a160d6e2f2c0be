"""This machine as an executor: one process at a time, which outlives the service that started it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path

from tracker.errors import ExecutorError
from tracker.execute.protocol import Order, Status
from tracker.measure.machine import node_name

__all__ = ["LocalExecutor"]

KILL_AFTER = 30.0  # seconds between SIGTERM, at which a measurement cleans up, and SIGKILL


class LocalExecutor:
    """Runs orders as processes of this machine.

    A handle is the process and its start time, so that a process id that the kernel gave to another
    program is not taken for the order.

    Args:
        name: In pacekeeper.toml.
        machine: Name that the results carry.
    """

    slots = 1  # two measurements at once would slow each other

    def __init__(self, name: str, machine: str) -> None:
        self.name = name
        self.machine = machine
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._terminated: dict[str, float] = {}

    def submit(self, order: Order) -> str:
        if node_name() in order.avoid:
            raise ExecutorError(
                f"executor {self.name}: {node_name()} is quarantined; see tracker schedule status"
            )
        # An order that an earlier service started under this name may still run: the two race for
        # the attempt in the store, and the loser ends (`Store.work_for`).
        if order.log is None:
            return self._start(order, subprocess.DEVNULL)
        with Path(order.log).open("ab") as log:
            return self._start(order, log.fileno())

    def _start(self, order: Order, output: int) -> str:
        try:
            child = subprocess.Popen(
                order.command,
                cwd=order.directory,
                env={**os.environ, **order.environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C in a terminal ends the service alone
            )
        except OSError as error:
            raise ExecutorError(
                f"executor {self.name}: cannot start {order.command[0]}: {error.strerror}"
            ) from None
        handle = f"{child.pid}:{_started(child.pid)}"
        self._children[handle] = child
        return handle

    def statuses(self, handles: Collection[str]) -> Mapping[str, Status]:
        return {handle: self._status(handle) for handle in handles}

    def _status(self, handle: str) -> Status:
        child = self._children.get(handle)
        if child is not None and (code := child.poll()) is not None:
            how = f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"
            return Status("ended", text=f"its process ended with {how}")
        if _is_alive(handle):
            return Status("running")
        return Status("ended", text="its process is gone")

    def cancel(self, handle: str) -> None:
        if self._status(handle).state == "ended":
            return
        process = int(handle.partition(":")[0])
        asked_at = self._terminated.get(handle)
        with suppress(ProcessLookupError):
            if asked_at is None:
                self._terminated[handle] = time.monotonic()
                os.kill(process, signal.SIGTERM)  # it ends what it has started
            elif time.monotonic() - asked_at > KILL_AFTER:
                os.killpg(process, signal.SIGKILL)


def _started(process: int) -> str | None:
    """Return the start time of a process, in ticks since the machine started; None: it is gone."""
    try:
        state, *fields = (
            Path(f"/proc/{process}/stat").read_text(errors="replace").rpartition(")")[2].split()
        )
    except OSError:
        return None
    return None if state == "Z" else fields[18]


def _is_alive(handle: str) -> bool:
    process, _, started = handle.partition(":")
    return process.isdigit() and _started(int(process)) == started
