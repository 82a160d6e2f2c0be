"""The speed of the machine during each launch: what all places of the tree have in common. Pure.

Neighbours and clocks make a whole launch faster or slower. The median over places of how much longer the
head's took in a pair is that pair's speed; a commit that changes a minority of the places does not move it.
It is removed from every place, and reported as a difference of its own: a commit, a dependency or a
machine that makes everything slower alike is seen there.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import median

from tracker.explain.blame import does_other_work
from tracker.explain.match import Match

__all__ = ["without_common_speed"]

_LEAST_PLACES = 5
_LEAST_COVERED = 0.2  # of the whole, by the places that are compared
_LEAST_SHARE = 0.001  # of the whole; the clock of smaller places is too coarse


def without_common_speed(matches: Sequence[Match]) -> list[float]:
    """Divide every time by its launch's speed; return the natural log of the head's over the base's, by pair.

    Half of it is taken from either launch, so that exchanging the two changes signs alone.

    Args:
        matches: Every kind of step; **changed**.
    """
    matches = list(matches)
    whole = _time_of_base(matches)
    places = list(_comparable(matches, _LEAST_SHARE * whole))
    pairs = len(next(iter(match.node for root in matches for match in root.walk())).seconds)
    covered = sum(median(base) for base, _ in places)
    if len(places) < _LEAST_PLACES or covered < _LEAST_COVERED * whole:
        return [0.0] * pairs
    speeds = [
        median(
            math.log(head[pair] / base[pair])
            for base, head in places
            if base[pair] > 0 < head[pair]
        )
        if sum(base[pair] > 0 < head[pair] for base, head in places) >= _LEAST_PLACES
        else 0.0
        for pair in range(pairs)
    ]
    for root in matches:
        for match in root.walk():
            for node, sign in ((match.base, 0.5), (match.head, -0.5)):
                if node is not None:
                    node.seconds = [
                        seconds * math.exp(sign * speed)
                        for seconds, speed in zip(node.seconds, speeds, strict=True)
                    ]
    return speeds


def _time_of_base(matches: Iterable[Match]) -> float:
    nodes = (match.base for root in matches for match in root.walk())
    return sum(median(node.seconds) for node in nodes if node is not None)


def _comparable(
    matches: Iterable[Match], least: float
) -> Iterable[tuple[list[float], list[float]]]:
    """Yield the times, in base and head, of places that do the same in both and take `least` seconds."""
    listed = [match for root in matches if not does_other_work(root) for match in root.walk()]
    for match in listed:
        base, head = match.base, match.head
        if base is None or head is None or base.calls != head.calls or base.size != head.size:
            continue
        if median(base.seconds) > least:
            yield base.seconds, head.seconds
