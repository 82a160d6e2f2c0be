"""When every call of a tree's function begins and ends."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from types import FrameType
from typing import Any

from tracker.load.profile.clock import Clock
from tracker.load.profile.source import SourceTree
from tracker.load.profile.tracing import traced_by

_BATCHES, _ROUNDS = 20, 100  # of empty calls, which measure the tracer's own cost
STEP = -2  # in the place of a function's number


class CallTimer:
    """Records the start and the end of every call of a tree's function, in this thread.

    Args:
        tree: Whose functions.
        clock: Nanoseconds.

    Attributes:
        events: In order: (time, function's number, offset of the call in the caller) where a call
            begins, (time,) where it ends.
    """

    def __init__(self, tree: SourceTree, *, clock: Clock = time.perf_counter_ns) -> None:
        self.events: list[tuple[int, ...]] = []
        self._tree = tree
        self._clock = clock

    def recording(self) -> AbstractContextManager[None]:
        """Record while the context is open."""
        return traced_by(self._tracer())

    def begin_step(self, at: int) -> None:
        """Say that what is called from now on is part of a step that began at a time, ns."""
        self.events.append((at, STEP, -1))

    def end_step(self, at: int) -> None:
        """Say that the step has ended."""
        self.events.append((at,))

    def cost(self) -> tuple[float, float]:
        """Return the nanoseconds that tracing adds to a call: inside its own time, and in its caller's."""
        tree = SourceTree(Path(__file__).parent)
        probe = CallTimer(tree, clock=self._clock)
        plain = self._fastest_call()
        with probe.recording():
            traced = self._fastest_call()
        inside = sorted(
            end[0] - start[0]
            for start, end in zip(probe.events[0::2], probe.events[1::2], strict=False)
        )
        within = float(inside[len(inside) // 2]) if inside else 0.0
        return within, max(0.0, traced - plain - within)

    def _fastest_call(self) -> float:
        """Return the nanoseconds of an empty call in the fastest of many batches: undisturbed."""
        batches: list[float] = []
        for _ in range(_BATCHES):
            began = self._clock()
            for _ in range(_ROUNDS):
                _nothing()
            batches.append((self._clock() - began) / _ROUNDS)
        return min(batches)

    def _tracer(self) -> Callable[[FrameType, str, Any], Any]:
        append, clock, number_of = self.events.append, self._clock, self._tree.number_of
        stack: list[FrameType] = []

        def leave(frame: FrameType, event: str, _argument: Any) -> Any:
            if event == "return":
                append((clock(),))
                if stack:
                    stack.pop()
            return leave

        def enter(frame: FrameType, _event: str, _argument: Any) -> Any:
            number = number_of(frame.f_code)
            if number < 0:
                return None
            frame.f_trace_lines = False
            append((clock(), number, stack[-1].f_lasti if stack else -1))
            stack.append(frame)
            return leave

        return enter


def _nothing() -> None:
    pass
