"""A commit's call tree: functions by place, with exact counts and the times of each launch. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

__all__ = ["Line", "Node", "combine"]


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a function: how often it ran, and roughly for how long.

    Attributes:
        number: In the file.
        text: Stripped.
        count: Exact.
        seconds: In it, and in code outside of the source tree that it called; a tracer's estimate.
    """

    number: int
    text: str
    count: int
    seconds: float


@dataclass(slots=True)
class Node:
    """A function at one place of the tree, or a kind of step at its top.

    Attributes:
        name: "file: function"; of a step its kind.
        line: Where the function begins; 0 for a step.
        order: Place among its siblings: the offset of the call in the caller.
        site: Line and text of the call in the caller; (0, "") for a step.
        phase: Of the engine's work that it belongs to.
        calls: Exact; of a step, how many there were.
        size: Elements of the arrays, and items of the texts and lists, given to a call on average;
            of a step, its tokens. 0 where it was given none.
        seconds: Its own time in each launch, without that of its children.
        lines: Of the function at this place.
        is_steady: Whether all launches counted the same.
    """

    name: str
    line: int
    order: int
    site: tuple[int, str]
    phase: str
    calls: int
    size: float
    seconds: list[float]
    lines: tuple[Line, ...] = ()
    children: list[Node] = field(default_factory=list)
    is_steady: bool = True

    @property
    def key(self) -> tuple[int, str]:
        """What tells it from its siblings."""
        return self.order, self.name

    @property
    def file(self) -> str:
        return self.name.partition(": ")[0]

    @property
    def function(self) -> str:
        return self.name.partition(": ")[2] or self.name

    def walk(self) -> Iterator[Node]:
        """Yield the node and everything below it."""
        yield self
        for child in self.children:
            yield from child.walk()

    def totals(self) -> list[float]:
        """Return its time in each launch, that of its children included."""
        return [sum(column) for column in zip(*(node.seconds for node in self.walk()), strict=True)]


def combine(launches: Sequence[Sequence[Node]]) -> list[Node]:
    """Return the tree of one commit from those of its launches, the steps by kind.

    Counts are the first launch's; a function that a launch did not call took it no time.

    Args:
        launches: At least one; the kinds of steps of each.
    """
    return _combined([{node.key: node for node in roots} for roots in launches])


def _combined(launches: Sequence[Mapping[tuple[int, str], Node]]) -> list[Node]:
    keys = dict.fromkeys(key for nodes in launches for key in nodes)
    merged: list[Node] = []
    for key in sorted(keys):
        present = [nodes.get(key) for nodes in launches]
        first = next(node for node in present if node is not None)
        below = [
            {} if node is None else {child.key: child for child in node.children}
            for node in present
        ]
        merged.append(
            Node(
                name=first.name,
                line=first.line,
                order=first.order,
                site=first.site,
                phase=first.phase,
                calls=first.calls,
                size=first.size,
                seconds=[0.0 if node is None else node.seconds[0] for node in present],
                lines=first.lines,
                children=_combined(below),
                is_steady=all(node is not None and node.calls == first.calls for node in present),
            )
        )
    return merged
