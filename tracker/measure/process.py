"""Runs one program of a launch: its output to a log, a time limit, and no process left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from tracker.errors import MeasurementError

__all__ = ["DEFAULT_TIMEOUT", "MARK", "members", "run_logged", "run_shell"]

DEFAULT_TIMEOUT = 3600.0  # seconds for a launch of whoever sets no limit
_GRACE = 10.0  # seconds that a program gets to end its children before they are killed
_POLL = 0.05
# Every descendant inherits it, whatever session or process group it moves to.
MARK = "PACEKEEPER_LAUNCH_ID"


def run_logged(
    command: Sequence[str],
    *,
    directory: Path,
    environment: Mapping[str, str],
    log: Path,
    timeout: float | None = None,
    on_line: Callable[[str], None] | None = None,
) -> int:
    """Run `command` to its end and return its exit code; everything that it started has ended.

    The output goes to a file and not through a pipe, so that a daemon that keeps the output open
    delays nothing.

    Args:
        command: Program and arguments.
        directory: Working directory.
        environment: The whole environment.
        log: Where standard output and error are appended.
        timeout: Seconds after which it is stopped; `DEFAULT_TIMEOUT` where None.
        on_line: Called with every line of the output.

    Raises:
        MeasurementError: It cannot be started, or was stopped for its time.
    """
    limit = DEFAULT_TIMEOUT if timeout is None else timeout
    mark = uuid.uuid4().hex
    deadline = time.monotonic() + limit
    with log.open("ab") as output, log.open("rb") as follow:
        follow.seek(0, os.SEEK_END)
        lines = _Lines(follow.read, on_line)
        try:
            process = subprocess.Popen(
                command,
                cwd=directory,
                env={**environment, MARK: mark},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # so that Ctrl-C reaches it through us alone
            )
        except OSError as error:
            raise MeasurementError(f"cannot run {command[0]}: {error.strerror or error}") from None
        try:
            while True:
                try:
                    code = process.wait(_POLL)
                    break
                except subprocess.TimeoutExpired:
                    lines.poll()
                    if time.monotonic() > deadline:
                        raise MeasurementError(
                            f"the launch was stopped after {limit:g} s; see {log}; raise --timeout "
                            "or narrow --bench",
                            log=log,
                        ) from None
        finally:
            _end(process, mark)
            lines.poll(final=True)
    return code


def run_shell(
    what: str,
    command: str,
    *,
    directory: Path,
    environment: Mapping[str, str],
    log: Path,
    timeout: float | None = None,
    on_line: Callable[[str], None] | None = None,
) -> None:
    """Run a shell command as `run_logged` does.

    Raises:
        MeasurementError: It cannot be started, was stopped for its time, or failed; the message
            begins with `what`, and has its last line and where the log is.
    """
    code = run_logged(
        ["sh", "-c", command], directory=directory, environment=environment, log=log,
        timeout=timeout, on_line=on_line,
    )  # fmt: skip
    if code != 0:
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
        last = lines[-1] if lines else "no output"
        raise MeasurementError(f"{what} failed with exit code {code}: {last} (log: {log})", log=log)


class _Lines:
    """Hands over what is appended to a file, line by line."""

    def __init__(self, read: Callable[[], bytes], on_line: Callable[[str], None] | None) -> None:
        self._read = read
        self._on_line = on_line
        self._rest = b""

    def poll(self, *, final: bool = False) -> None:
        if self._on_line is None:
            return
        *whole, self._rest = (self._rest + self._read()).split(b"\n")
        if final and self._rest:
            whole.append(self._rest)
        for line in whole:
            self._on_line(line.decode("utf-8", "replace"))


def _end(process: subprocess.Popen[bytes], mark: str) -> None:
    """End a program and all that it started: politely first, for it ends its own children."""
    try:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(_GRACE)
    except subprocess.TimeoutExpired:
        pass
    finally:  # also when a signal breaks off the wait
        for pid in members(process.pid, mark):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()


def members(session: int, mark: str) -> list[int]:
    """Return the processes of a session, and those that carry the launch's mark wherever they went."""
    members: list[int] = []
    wanted = f"{MARK}={mark}".encode()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            if fields[0] == "Z":
                continue
            if int(fields[3]) == session or wanted in (entry / "environ").read_bytes().split(b"\0"):
                members.append(int(entry.name))
        except (OSError, IndexError):  # it has ended, or is another user's
            continue
    return members
