"""One service at a time in a checkout: two services would measure at once and add noise."""

from __future__ import annotations

import fcntl
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from tracker.errors import MeasurementError

__all__ = ["service_lock"]


@contextmanager
def service_lock(state: Path) -> Iterator[None]:
    """Hold the lock file `schedule.lock` in `state` for the body.

    The kernel drops the lock when its process ends, however it ends, so a file that is left behind
    blocks no later service.

    Args:
        state: The checkout's `.pacekeeper` directory, which exists.

    Raises:
        MeasurementError: Another service holds it; the message says which process, since when.
    """
    path = state / "schedule.lock"
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644), "r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = file.read().strip() or "an unknown process"
            raise MeasurementError(
                f"another tracker schedule is running in this checkout: {holder}; "
                f"stop it, or let it do the measuring (lock: {path})"
            ) from None
        since = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        file.truncate(0)
        file.write(f"process {os.getpid()} on {platform.node()} since {since}\n")
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)
