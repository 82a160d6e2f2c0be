"""A clock that stands still while the kernel runs other processes on this thread's core."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

_GAP = 50_000  # ns between two looks at the clock; the kernel takes a core away for longer
Clock = Callable[[], int]


def own_clock(schedstat: Path = Path("/proc/thread-self/schedstat")) -> Clock:
    """Return a clock of nanoseconds that stands still while the kernel runs others on this thread's core.

    A sleep and a wait for a device count; waiting for the core does not. The kernel is asked only after
    a gap in which it can have taken the core away. Where it keeps no account, the clock runs on.

    Args:
        schedstat: The kernel's account of the thread that reads it.
    """
    now = time.perf_counter_ns
    try:
        file = os.open(schedstat, os.O_RDONLY)  # stays open as long as the process
        waited = int(os.pread(file, 64, 0).split()[1])
    except (OSError, IndexError, ValueError):
        return now
    last = now()
    taken = 0
    shown = 0

    def read() -> int:
        nonlocal last, waited, taken, shown
        moment = now()
        if moment - last > _GAP:
            account = int(os.pread(file, 64, 0).split()[1])
            taken += account - waited
            waited = account
        last = moment
        shown = max(shown, moment - taken)
        return shown

    return read
