"""How often calls and lines run, by place of the call tree, with the sizes of arguments."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from tracker.load.profile.clock import Clock
from tracker.load.profile.source import SourceTree
from tracker.load.profile.tracing import traced_by


@dataclass(slots=True)
class CallNode:
    """One function at one place of the call tree.

    Attributes:
        calls: How often it was called there.
        size: Elements of the arrays, and items of the texts and lists, that it was given in all.
        lines: Line to [times it ran, nanoseconds in it and in code outside of the tree].
        children: By (offset of the call, number of the function called).
    """

    calls: int = 0
    size: int = 0
    lines: dict[int, list[int]] = field(default_factory=dict)
    children: dict[tuple[int, int], CallNode] = field(default_factory=dict)

    def add(self, other: CallNode) -> None:
        """Add another node's figures, and its children's."""
        self.calls += other.calls
        self.size += other.size
        for line, (count, ns) in other.lines.items():
            cell = self.lines.setdefault(line, [0, 0])
            cell[0] += count
            cell[1] += ns
        for key, child in other.children.items():
            self.children.setdefault(key, CallNode()).add(child)

    def described(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "calls": self.calls,
            "size": self.size,
            "lines": [[line, *cell] for line, cell in sorted(self.lines.items())],
            "children": [
                {"site": site, "function": number, **child.described()}
                for (site, number), child in sorted(self.children.items())
            ],
        }


class LineCounter:
    """Counts calls, lines and sizes of arguments by place of the call tree, in this thread.

    The counts are exact. Its times only say which lines of a function take most of it.
    """

    def __init__(self, tree: SourceTree, *, clock: Clock = time.perf_counter_ns) -> None:
        self._tree = tree
        self._clock = clock
        self._root = CallNode()

    def recording(self) -> AbstractContextManager[None]:
        """Count while the context is open."""
        return traced_by(self._tracer())

    def take(self) -> CallNode:
        """Return what was counted since the last call, its children being the outermost functions."""
        taken, self._root = self._root, CallNode()
        return taken

    def _tracer(self) -> Callable[[FrameType, str, Any], Any]:
        clock, number_of = self._clock, self._tree.number_of
        stack: list[tuple[CallNode, FrameType]] = []
        cell = [0, 0]  # of the line that runs
        cells: list[list[int]] = []  # of the callers
        last = clock()

        def inside(frame: FrameType, event: str, _argument: Any) -> Any:
            nonlocal last, cell
            cell[1] += clock() - last
            if event == "line":
                lines = stack[-1][0].lines
                cell = lines.setdefault(frame.f_lineno, [0, 0])
                cell[0] += 1
            elif event == "return":
                stack.pop()
                cell = cells.pop()
            last = clock()
            return inside

        def enter(frame: FrameType, _event: str, _argument: Any) -> Any:
            nonlocal last, cell
            number = number_of(frame.f_code)
            if number < 0:
                return None
            cell[1] += clock() - last
            parent, site = (stack[-1][0], stack[-1][1].f_lasti) if stack else (self._root, -1)
            node = parent.children.get((site, number))
            if node is None:
                node = parent.children[site, number] = CallNode()
            node.calls += 1
            node.size += _size_of(frame)
            stack.append((node, frame))
            cells.append(cell)
            cell = node.lines.setdefault(frame.f_code.co_firstlineno, [0, 0])
            last = clock()
            return inside

        return enter


def _size_of(frame: FrameType) -> int:
    """Return the elements of the arrays, and the items of texts and lists, among the arguments."""
    code = frame.f_code
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    given = frame.f_locals
    total = 0
    for name in names:
        value = given.get(name)
        if isinstance(value, str | bytes | list | tuple):
            total += len(value)
            continue
        shape = getattr(value, "shape", None)
        if isinstance(shape, tuple) and all(isinstance(length, int) for length in shape):
            count = 1
            for length in shape:
                count *= length
            total += count
    return total
