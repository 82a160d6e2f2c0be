"""One measurement at a time on a machine, whoever asks for it.

Two launches at once slow each other and say nothing of the commits. Every launch holds one lock
that all users and checkouts of the machine share; the kernel drops it when its process ends.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tracker.errors import MeasurementError

__all__ = ["LOCK_FILE", "machine_lock"]

LOCK_FILE = Path("/tmp/pacekeeper-measuring.lock")  # not TMPDIR: that is often one job's own


@contextmanager
def machine_lock(
    what: str,
    *,
    on_wait: Callable[[str], None] = lambda message: None,
    on_waited: Callable[[float], None] = lambda seconds: None,
) -> Iterator[None]:
    """Hold the machine for one measurement; wait while somebody else does.

    Args:
        what: Who measures what, for those who wait.
        on_wait: Called once with a sentence, if there is something to wait for.
        on_waited: Called with the seconds once that wait is over, also where it was broken off.

    Raises:
        MeasurementError: The lock file cannot be opened.
    """
    path = Path(os.environ.get("PACEKEEPER_MEASURING_LOCK") or LOCK_FILE)
    with os.fdopen(_open(path), "r+", errors="replace") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = file.read().strip() or "another process"
            on_wait(f"waiting for another measurement on this machine: {holder} (lock: {path})")
            began = time.monotonic()
            try:
                fcntl.flock(file, fcntl.LOCK_EX)
            finally:
                on_waited(time.monotonic() - began)
        file.seek(0)
        file.truncate()
        file.write(f"{what} (process {os.getpid()})\n")
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)


def _open(path: Path) -> int:
    try:
        try:
            # Without O_CREAT: in a sticky directory the kernel refuses it on another user's file.
            return os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            os.fchmod(handle, 0o666)  # whatever the umask: other users measure here, too
            return handle
    except OSError as error:
        raise MeasurementError(
            f"cannot open the machine's lock {path}: {error.strerror}; make it writable for all who "
            "measure here, or name another file in PACEKEEPER_MEASURING_LOCK"
        ) from None
