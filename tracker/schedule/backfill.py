"""Which commits without a value would tell most: around level shifts, then in the largest gaps. Pure."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterator, Sequence

__all__ = ["backfill_of"]


def backfill_of(
    newest_first: Sequence[str],
    measured: Collection[str],
    limit: int,
    *,
    shifts: Sequence[tuple[str, str]] = (),
    unusable: Collection[str] = (),
) -> list[str]:
    """Return the most informative commits without a value, the most informative first.

    A gap is a run of commits without a value below the newest one that has one. Gaps that hold an open
    level shift come first, in the order of `shifts`: one of their commits brought it. Then the
    largest. Of a gap the middle commit is taken, which leaves two gaps of half the size.

    Args:
        newest_first: The branch.
        measured: Commits that have values.
        limit: Maximum number of commits.
        shifts: Open level shifts, worst first: the last commit of the old level, and the first of
            the new one.
        unusable: Commits that could not be measured; they are not taken, and leave the gap as it is.
    """
    oldest_first = list(reversed(newest_first))
    gaps = [
        (_rank(start, end, oldest_first, shifts), start, end)
        for start, end in _gaps(oldest_first, measured)
    ]
    heapq.heapify(gaps)
    chosen: list[str] = []
    while gaps and len(chosen) < limit:
        rank, start, end = heapq.heappop(gaps)
        middle = (start + end - 1) / 2
        usable = [place for place in range(start, end) if oldest_first[place] not in unusable]
        if not usable:
            continue
        place = min(usable, key=lambda place: (abs(place - middle), -place))
        chosen.append(oldest_first[place])
        for part in ((start, place), (place + 1, end)):
            if part[0] < part[1]:
                heapq.heappush(gaps, ((rank[0], part[0] - part[1]), *part))
    return chosen


def _gaps(oldest_first: Sequence[str], measured: Collection[str]) -> Iterator[tuple[int, int]]:
    """Yield the half-open ranges of places without a value that end below a measured commit."""
    start = 0
    for place, commit in enumerate(oldest_first):
        if commit in measured:
            if start < place:
                yield start, place
            start = place + 1


def _rank(
    start: int, end: int, oldest_first: Sequence[str], shifts: Sequence[tuple[str, str]]
) -> tuple[int, int]:
    """Return what a gap is ordered by: the number of its shift, then its size, the largest first."""
    ends = (oldest_first[start - 1] if start else None, oldest_first[end])
    number = next((n for n, shift in enumerate(shifts) if shift == ends), len(shifts))
    return number, start - end
