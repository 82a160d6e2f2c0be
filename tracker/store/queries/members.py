"""What each member of a machine class measured, for the comparison of the members."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import select

from tracker.domain import MemberLaunch, MemberValue
from tracker.store import tables as t
from tracker.store.queries.projects import find_project
from tracker.store.store import Store

LAUNCHES = 1000  # the newest that are looked at
RUNS = 300


def member_launches(
    store: Store, project: str, machine: str, *, since: Mapping[str, datetime] | None = None
) -> list[MemberLaunch]:
    """Return the newest launches of a machine class whose member is known.

    Args:
        store: Where to look.
        project: Its name.
        machine: The machine class.
        since: For some members the moment before which their launches do not count.

    Raises:
        UsageError: No such project.
    """
    a, run, m = t.artifact.c, t.run.c, t.machine.c
    with store.reading() as conn:
        rows = conn.execute(
            select(run.node, a.benchmark, a.header, run.recorded_at)
            .join(t.run, run.id == a.run_id)
            .join(t.machine, m.id == run.machine_id)
            .where(
                a.project_id == find_project(conn, project),
                m.name == machine,
                run.node.is_not(None),
            )
            .order_by(a.id.desc())
            .limit(LAUNCHES)
        ).all()
    return [
        MemberLaunch(row.node, row.benchmark, row.header)
        for row in rows
        if _counts(since, row.node, row.recorded_at)
    ]


def member_values(
    store: Store, project: str, machine: str, *, since: Mapping[str, datetime] | None = None
) -> list[MemberValue]:
    """Return the values of the newest runs of a machine class outside gates, with their members.

    Only of noisy metrics with a direction. Arguments as of `member_launches`.

    Raises:
        UsageError: No such project.
    """
    run, m, r, s, b = t.run.c, t.machine.c, t.result.c, t.series.c, t.benchmark.c
    with store.reading() as conn:
        newest = (
            select(run.id)
            .join(t.machine, m.id == run.machine_id)
            .where(
                run.project_id == find_project(conn, project),
                m.name == machine,
                run.node.is_not(None),
                run.gate_id.is_(None),
            )
            .order_by(run.id.desc())
            .limit(RUNS)
        )
        rows = conn.execute(
            select(
                *(run.id, run.node, run.recorded_at),
                *(r.series_id, r.revision_id, r.value, b.better),
            )
            .join(t.run, run.id == r.run_id)
            .join(t.series, s.id == r.series_id)
            .join(t.benchmark, b.id == s.benchmark_id)
            .where(
                run.id.in_(newest),
                r.value.is_not(None),
                b.better.is_not(None),
                b.kind.in_(("timing", "rate")),
            )
        ).all()
    return [
        MemberValue(row.node, row.id, row.series_id, row.revision_id, row.value, row.better)
        for row in rows
        if _counts(since, row.node, row.recorded_at)
    ]


def _counts(since: Mapping[str, datetime] | None, node: str, at: datetime) -> bool:
    return since is None or node not in since or at >= since[node]
