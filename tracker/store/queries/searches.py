"""The last search for level shifts in each series: its result and its basis."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import accumulate

from sqlalchemy import Connection, select

from tracker.domain import Detection, LastSearch, LevelShift, RevisionInfo
from tracker.store import tables as t
from tracker.store.queries.projects import find_project
from tracker.store.queries.revisions import load_order
from tracker.store.queries.series import select_series, series_of
from tracker.store.queries.shifts import shift_of, with_shifts
from tracker.store.store import Store


def last_searches(store: Store, project: str) -> dict[int, LastSearch]:
    """Return every series of a project by its id, in a few statements that read no result.

    Results are only added, so their number shows whether there are new ones. A digest of the
    project's commits up to the newest measured one shows whether the order of revisions changed:
    a later commit keeps the digest, a commit in between changes it.

    Raises:
        UsageError: No such project.
    """
    s, d = t.series.c, t.detection.c
    with store.reading() as conn:
        project_id = find_project(conn, project)
        ordered = load_order(conn, project_id)
        digest_until = _digests(ordered)
        shifts = _shifts(conn, project_id, ordered)
        statement = (
            select(
                *(s.id, s.num_results, s.last_committed_at),
                *(d.basis, d.num_points, d.num_missing, d.num_segments),
            )
            .outerjoin(t.detection, d.series_id == s.id)
            .where(s.project_id == project_id)
        )
        return {
            series_id: LastSearch(
                stamp=f"{num_results} {digest_until(newest) if newest else ''}",
                detection=None if basis is None else Detection(basis, *counts),
                shifts=tuple(shifts[series_id]),
            )
            for series_id, num_results, newest, basis, *counts in conn.execute(statement)
        }


def _digests(ordered: Sequence[RevisionInfo]) -> Callable[[datetime], str]:
    """Return what gives a digest of all that comes before, or at, the commits up to a moment."""
    digests, so_far = [], hashlib.sha256()
    for revision in ordered:
        so_far.update(revision.commit.encode())
        digests.append(so_far.hexdigest())
    by_time = sorted((revision.committed_at, place) for place, revision in enumerate(ordered))
    times = [committed_at for committed_at, _ in by_time]
    # A commit may stand behind one of a later time: its parent's clock was ahead.
    places = list(accumulate((place for _, place in by_time), max))
    return lambda moment: digests[places[bisect_right(times, moment) - 1]]


def _shifts(
    conn: Connection, project_id: int, ordered: Sequence[RevisionInfo]
) -> dict[int, list[LevelShift]]:
    place = {revision.id: position for position, revision in enumerate(ordered)}
    shifts: dict[int, list[LevelShift]] = defaultdict(list)
    statement = with_shifts(select_series()).where(t.series.c.project_id == project_id)
    for row in conn.execute(statement):
        shifts[row.series_id].append(shift_of(row, series_of(row).better))
    for listed in shifts.values():
        listed.sort(key=lambda shift: place[shift.revision.id])
    return shifts
