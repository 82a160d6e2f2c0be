"""An event loop that measures its own delay: how long what arrived may have waited to be read."""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Callable
from typing import Any

__all__ = ["ReadDelay", "measured_loop"]

_AT_ONCE = 20e-6  # seconds; a call of select that does not wait takes less


class ReadDelay:
    """Tells, while a read is handled, for how long its bytes may have lain unread.

    Bytes that arrive while the loop waits in ``select`` wake it at once. Bytes that arrive while it
    is busy are found by a call that does not wait, and may have come right after the call before.
    A reader runs one turn of the loop after the call that found its bytes.
    """

    def __init__(self) -> None:
        self._returned = self._found = self._read = float("inf")

    def selected(self, returned: float, *, waited: bool) -> None:
        """Note that a call of ``select`` returned, and whether it had waited."""
        self._read = self._found
        self._found = returned if waited else self._returned
        self._returned = returned

    def seconds(self, now: float) -> float:
        """Return the most that what is read at ``now`` may have waited, s."""
        return max(0.0, now - self._read)


class _MeasuredSelector(selectors.DefaultSelector):
    def __init__(self, delay: ReadDelay, clock: Callable[[], float]) -> None:
        super().__init__()
        self._delay = delay
        self._clock = clock

    def select(self, timeout: float | None = None) -> Any:
        called = self._clock()
        ready = super().select(timeout)
        returned = self._clock()
        self._delay.selected(returned, waited=returned - called > _AT_ONCE)
        return ready


def measured_loop() -> tuple[asyncio.AbstractEventLoop, ReadDelay]:
    """Return a new event loop and what measures its read delay."""
    delay = ReadDelay()
    return asyncio.SelectorEventLoop(_MeasuredSelector(delay, time.perf_counter)), delay
