"""Lays the call trees of two commits over each other. Pure.

Lines move and names change, so the calls in a function are aligned as two texts are: first those of
equal function and equal line, then those of equal function at a like place, then, at the same place,
calls that are made as often with arguments of the same size: the same thing by another name.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher

from tracker.explain.tree import Node

__all__ = ["Match", "matched"]

_Known = tuple[frozenset[str], frozenset[str]]  # all names in base and head
_SAME_SIZE = 0.02  # relative difference up to which sizes are equal


@dataclass(slots=True)
class Match:
    """One place of the tree in both commits; None where a commit does not have it."""

    base: Node | None
    head: Node | None
    parent: Match | None
    children: list[Match] = field(default_factory=list)

    @property
    def node(self) -> Node:
        """The head's, or the base's where only that has it."""
        node = self.head or self.base
        assert node is not None, "a match has at least one side"
        return node

    def walk(self) -> Iterator[Match]:
        """Yield it and everything below it."""
        yield self
        for child in self.children:
            yield from child.walk()

    def differences(self) -> list[float]:
        """Return head - base of its own time in each pair of launches, seconds."""
        if self.base is None:
            return list(self.node.seconds)
        if self.head is None:
            return [-seconds for seconds in self.node.seconds]
        return [h - b for h, b in zip(self.head.seconds, self.base.seconds, strict=True)]


def matched(base: Sequence[Node], head: Sequence[Node]) -> list[Match]:
    """Return the places of two trees, kind of step by kind of step.

    Args:
        base: The kinds of steps of the base commit, with as many launches as the head's.
        head: Those of the head.
    """
    known = _names(base), _names(head)
    kinds = dict.fromkeys(node.name for node in (*base, *head))
    sides = [{node.name: node for node in nodes} for nodes in (base, head)]
    return [_match(sides[0].get(kind), sides[1].get(kind), None, known) for kind in kinds]


def _names(roots: Sequence[Node]) -> frozenset[str]:
    return frozenset(node.name for root in roots for node in root.walk())


def _match(base: Node | None, head: Node | None, parent: Match | None, known: _Known) -> Match:
    match = Match(base, head, parent)
    pairs = _pairs(base.children if base else [], head.children if head else [], known)
    match.children = [_match(first, second, match, known) for first, second in pairs]
    return match


def _pairs(
    base: Sequence[Node], head: Sequence[Node], known: _Known
) -> list[tuple[Node | None, Node | None]]:
    pairs, gaps = _aligned(base, head, lambda node: (*_callee(node), node.site[1]))
    wrappers = _wrappers(base) | _wrappers(head)
    for key in (_callee, lambda node: _callee(node) if node.name in wrappers else (node.name,)):
        left: list[tuple[list[Node], list[Node]]] = []
        for gap in gaps:
            more, rest = _aligned(*gap, key)
            pairs += more
            left += rest
        gaps = left
    firsts: list[Node] = []
    seconds: list[Node] = []
    for first, second in gaps:
        renamed = _renamed(first, second, known)
        pairs += renamed
        firsts += [node for node in first if all(node is not pair[0] for pair in renamed)]
        seconds += [node for node in second if all(node is not pair[1] for pair in renamed)]
    for node in tuple(firsts):  # moved to another place of the same function
        other = next((other for other in seconds if _callee(other) == _callee(node)), None)
        if other is not None:
            pairs.append((node, other))
            firsts.remove(node)
            seconds.remove(other)
    for node in tuple(firsts):  # made elsewhere, by another name: where only one can be meant
        others = [other for other in seconds if _renamed([node], [other], known)]
        if len(others) == 1 and sum(bool(_renamed([n], others, known)) for n in firsts) == 1:
            pairs.append((node, others[0]))
            firsts.remove(node)
            seconds.remove(others[0])
    return [*pairs, *((node, None) for node in firsts), *((None, node) for node in seconds)]


def _aligned(
    base: Sequence[Node], head: Sequence[Node], key: Callable[[Node], Hashable]
) -> tuple[list[tuple[Node | None, Node | None]], list[tuple[list[Node], list[Node]]]]:
    """Return the pairs of equal key in a common order, and what lies between them in either."""
    matcher = SequenceMatcher(
        None, [key(node) for node in base], [key(node) for node in head], autojunk=False
    )
    pairs: list[tuple[Node | None, Node | None]] = []
    gaps: list[tuple[list[Node], list[Node]]] = []
    for tag, i, j, k, m in matcher.get_opcodes():
        if tag == "equal":
            pairs += zip(base[i:j], head[k:m], strict=True)
        else:
            gaps.append((list(base[i:j]), list(head[k:m])))
    return pairs, gaps


def _wrappers(nodes: Sequence[Node]) -> set[str]:
    """Return the functions that are called here for different things: their name alone says nothing."""
    kinds: dict[str, set[tuple[Hashable, ...]]] = {}
    for node in nodes:
        kinds.setdefault(node.name, set()).add(_callee(node))
    return {name for name, callees in kinds.items() if len(callees) > 1}


def _callee(node: Node) -> tuple[Hashable, ...]:
    """What a call runs: its function and what that calls, since a wrapper alone says little."""
    return node.name, frozenset(child.name for child in node.children)


def _renamed(
    base: Sequence[Node], head: Sequence[Node], known: _Known
) -> list[tuple[Node | None, Node | None]]:
    """Return the pairs, in order, of which each has a name that the other commit does not know."""
    if len(base) != len(head):
        return []
    return [
        (first, second)
        for first, second in zip(base, head, strict=True)
        if first.calls == second.calls
        and _near(first.size, second.size)
        and first.name not in known[1]
        and second.name not in known[0]
    ]


def _near(first: float, second: float) -> bool:
    return abs(first - second) <= _SAME_SIZE * max(first, second)
