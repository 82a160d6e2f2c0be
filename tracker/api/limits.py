"""How many requests a caller may send: a bucket of tokens for each, refilled at a steady rate."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["RateLimiter"]

_MAX_CALLERS = 10_000  # remembered at once


class RateLimiter:
    """Allows `burst` requests at once and `rate` a second after that, for each caller apart.

    Args:
        rate: Requests a second.
        burst: Requests at once, at least 1.
        clock: Seconds, for tests.
    """

    def __init__(
        self, rate: float, burst: int, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._buckets: dict[str, tuple[float, float]] = {}  # caller -> (requests left, since when)

    def wait_for(self, caller: str) -> float:
        """Count a request of the caller and return 0, or return the seconds that it must wait."""
        now = self._clock()
        left, since = self._buckets.get(caller, (float(self._burst), now))
        left = min(self._burst, left + (now - since) * self._rate)
        if left < 1:
            return (1 - left) / self._rate
        if len(self._buckets) >= _MAX_CALLERS and caller not in self._buckets:
            self._forget_full(now)
        self._buckets[caller] = (left - 1, now)
        return 0.0

    def _forget_full(self, now: float) -> None:
        full = [
            caller
            for caller, (left, since) in self._buckets.items()
            if left + (now - since) * self._rate >= self._burst
        ]
        # Where none is full, the oldest goes: a flood of callers must not fill the memory.
        for caller in full or [next(iter(self._buckets))]:
            del self._buckets[caller]
