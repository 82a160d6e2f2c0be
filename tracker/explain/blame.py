"""Charges every difference to the function that brought it about. Pure.

A function that is called twice as often is slower and yet not to blame: whoever calls it is. So a
difference of a place's own time is charged

- where its calls follow from those of its caller, and the arguments are as large as before: to the function
  itself, which got slower;
- where they do not follow: to the caller, which calls it more often (or for the first time, or no more);
- where the caller itself is called more often, or given more: to whatever brought that about, up to the
  steps themselves, of which there are more, or of more tokens. Other steps also run other code of the
  base's: only what HEAD's source changes is charged to a function there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tracker.explain.changed import ChangedCode, is_changed
from tracker.explain.match import Match
from tracker.explain.tree import Line, Node

__all__ = [
    "WORK",
    "Charge",
    "Effect",
    "EffectKind",
    "charges",
    "does_other_work",
    "heaviest_line",
    "without_shapes",
]

EffectKind = Literal["slower", "calls", "size", "work"]
WORK = "the steps themselves"
_IsNew = Callable[[Match], bool]
_FEW = 0.02  # relative change of counts and sizes up to which they are equal


@dataclass(frozen=True, slots=True)
class Effect:
    """One thing that a function does differently.

    Attributes:
        kind: "slower": its own code takes another time; "calls": it calls something more or less
            often; "size": it hands larger or smaller arguments to something; "work": there are
            other steps, or they have other tokens.
        at: The place that is slower, or is called otherwise.
    """

    kind: EffectKind
    at: Match


@dataclass(slots=True)
class Charge:
    """A function and the differences charged to it.

    Attributes:
        owner: "file: function", or `WORK`.
        seconds: In each pair of launches, over the whole load.
        effects: What it does differently, with the seconds of each.
        phases: Seconds by phase, the mean over the pairs.
    """

    owner: str
    seconds: list[float]
    effects: list[tuple[Effect, list[float]]] = field(default_factory=list)
    phases: dict[str, float] = field(default_factory=dict)

    def main_effect(self) -> tuple[Effect, list[float]]:
        """Return the effect that most of the charge comes from."""
        sign = 1.0 if sum(self.seconds) >= 0 else -1.0
        return max(self.effects, key=lambda item: sign * sum(item[1]))


def charges(matches: Iterable[Match], changed: Sequence[ChangedCode] = ()) -> list[Charge]:
    """Return what is charged to each function; together they are the whole difference.

    Args:
        matches: Every kind of step.
        changed: What the head's source changes; empty where that is unknown.
    """
    parts: dict[tuple[str, EffectKind, int], tuple[Effect, list[float]]] = {}
    owners: dict[str, Charge] = {}

    def charge(effect: Effect, seconds: Sequence[float], phase: str) -> None:
        owner = _owner(effect)
        known = owners.setdefault(owner, Charge(owner, [0.0] * len(seconds)))
        key = owner, effect.kind, id(effect.at)
        _, own = parts.setdefault(key, (effect, [0.0] * len(seconds)))
        for i, value in enumerate(seconds):
            known.seconds[i] += value
            own[i] += value
        known.phases[phase] = known.phases.get(phase, 0.0) + sum(seconds) / len(seconds)

    roots = list(matches)
    is_new = _new_code(roots, changed)
    for root in roots:
        other_work = does_other_work(root)
        for match in root.walk():
            differences = match.differences()
            cause = _cause_in_other_work(match, root, is_new) if other_work else _cause(match)
            slower = Effect("slower", match)
            if cause is None:
                charge(slower, differences, match.node.phase)
                continue
            share = None if other_work else _by_count(match)
            if share is None:
                charge(cause, differences, match.node.phase)
                continue
            charge(cause, share, match.node.phase)
            rest = [d - s for d, s in zip(differences, share, strict=True)]
            charge(slower, rest, match.node.phase)
    for (owner, _, _), part in parts.items():
        owners[owner].effects.append(part)
    return list(owners.values())


def _owner(effect: Effect) -> str:
    match = effect.at
    if effect.kind == "work":
        return WORK
    if effect.kind == "slower":
        return without_shapes(match.node.name) if match.parent is not None else WORK
    parent = match.parent
    assert parent is not None
    caller = parent if parent.parent is not None else match
    return without_shapes(caller.node.name)


def without_shapes(name: str) -> str:
    """Return an op's name without the shapes of its arguments; a function's as it is."""
    return name.partition(" [")[0]


def does_other_work(root: Match) -> bool:
    """Whether there are other steps of a kind, or they have other tokens."""
    if root.base is None or root.head is None:
        return True
    return not (_equal(root.base.calls, root.head.calls) and _same_size(root.base, root.head))


def _new_code(roots: Iterable[Match], changed: Sequence[ChangedCode]) -> _IsNew:
    """Return what tells whether a place is code that only one commit has.

    A function that one commit did not call need not be new: other steps take other branches of the
    same source. Where it is known what the head changes, the function or its caller is among it.
    """
    listed = [match for root in roots for match in root.walk()]
    base = frozenset(match.base.name for match in listed if match.base is not None)
    head = frozenset(match.head.name for match in listed if match.head is not None)

    def is_new(match: Match) -> bool:
        name = match.node.name
        only_one = (match.base is None and name not in base) or (
            match.head is None and name not in head
        )
        if not only_one or match.parent is None:
            return False
        return not changed or any(
            is_changed(without_shapes(place.node.name), changed) for place in (match, match.parent)
        )

    return is_new


def _cause_in_other_work(match: Match, root: Match, is_new: _IsNew) -> Effect:
    """Return the cause of a difference below steps that do other work: new code, else the work."""
    if match.parent is None or not is_new(match):
        return Effect("work", root)
    above = _cause_in_other_work(match.parent, root, is_new)
    return above if above.kind == "calls" else Effect("calls", match)


def _cause(match: Match) -> Effect | None:
    """Return why a place has another number of calls, or other arguments; None where it has neither.

    Args:
        match: Below steps that do the same work.
    """
    parent = match.parent
    if parent is None:
        return None
    if match.base is None or match.head is None:
        one_sided = parent.base is None or parent.head is None
        return _cause(parent) if one_sided else Effect("calls", match)
    if parent.base is not None and parent.head is not None and parent.parent is not None:
        before = match.base.calls / max(parent.base.calls, 1)
        after = match.head.calls / max(parent.head.calls, 1)
        if not _equal(before, after):
            # As often as ever where only the caller's calls changed: a wrapper called more often
            # for one of the things that it wraps.
            inherited = _cause(parent)
            more = match.head.calls - match.base.calls
            if (
                inherited is None
                or inherited.kind != "calls"
                or not _equal(abs(more), abs(parent.head.calls - parent.base.calls))
            ):
                return Effect("calls", match)
            return inherited
    elif not _equal(match.base.calls, match.head.calls):
        return Effect("calls", match)  # by whoever drives the engine
    above = _cause(parent)
    if not _same_size(match.base, match.head):
        return above or Effect("size", match)
    return above


def _by_count(match: Match) -> list[float] | None:
    """Return the seconds that other counts alone explain; None where all of the difference is so."""
    base, head = match.base, match.head
    if base is None or head is None or not base.calls or not _same_size(base, head):
        return None
    if _equal(base.calls, head.calls):
        return None
    ratio = head.calls / base.calls - 1
    return [seconds * ratio for seconds in base.seconds]


def _same_size(base: Node, head: Node) -> bool:
    return base.size == 0 or head.size == 0 or _equal(base.size, head.size)


def _equal(first: float, second: float) -> bool:
    if first == second:
        return True
    if first <= 0 or second <= 0:
        return False
    return abs(math.log(second / first)) < _FEW


def heaviest_line(effect: Effect) -> Line | None:
    """Return the line of the function that gained most, in the head; None where lines are unknown."""
    base, head = effect.at.base, effect.at.head
    if head is None or not head.lines:
        return None
    before: dict[str, float] = {}
    for line in base.lines if base is not None else ():
        before[line.text] = before.get(line.text, 0.0) + line.seconds
    return max(head.lines, key=lambda line: line.seconds - before.get(line.text, 0.0))
