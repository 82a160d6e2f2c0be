"""A process between the tracker and a server: the server ends with the tracker, whatever ends that.

Started as the leader of a session, with a pipe from the tracker as its standard input. When the
pipe closes, also because the tracker was killed, everything that the command started is ended.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from types import FrameType

from tracker.measure.process import MARK, members

__all__ = ["guarded"]

GRACE = 10.0  # seconds that a server gets to end before it is killed
_POLL = 0.05
_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h


def guarded(command: str) -> list[str]:
    """Return the arguments of a process that runs a shell command until its standard input ends.

    It exits with the command's code, should that end before.
    """
    # Isolated: the worktree and PYTHONPATH hold the commit's modules, perhaps another `tracker`.
    root = str(Path(__file__).resolve().parents[2])
    script = (
        f"import sys; sys.path.insert(0, {root!r}); "
        "from tracker.measure.guard import main; main(sys.argv[1])"
    )
    return [sys.executable, "-I", "-c", script, command]


def main(command: str) -> None:
    """Run `command` until standard input ends, then end all that it started; see `guarded`."""
    asked: list[int] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        asked.append(number)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, stop)
    # What the command leaves behind becomes a child of this process, which can then end it.
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    process = subprocess.Popen(["sh", "-c", command], stdin=subprocess.DEVNULL)
    pipe = sys.stdin.fileno()
    while process.poll() is None and not asked:
        try:
            readable, _, _ = select.select([pipe], [], [], _POLL)
        except InterruptedError:
            continue
        if readable and not os.read(pipe, 1):
            break
    code = process.poll()
    _end()
    sys.exit(0 if code is None else code if code >= 0 else 128 - code)


def _end() -> None:
    """End the session, what carries its mark, and what became a child of this process."""
    _signal(_alive(), signal.SIGTERM)
    if not _wait(lambda: not _alive(), GRACE):
        while pids := _alive():  # one that forks meanwhile must not escape
            _signal(pids, signal.SIGKILL)
            time.sleep(_POLL)


def _alive() -> set[int]:
    """Return the processes to end; a dead child counts until it is reaped, here."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    own = os.getpid()
    children = Path(f"/proc/self/task/{own}/children").read_text().split()
    others = members(os.getsid(0), os.environ.get(MARK, ""))
    return {*map(int, children), *others} - {own}


def _signal(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _wait(done: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL)
    return True
