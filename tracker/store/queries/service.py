"""What a monitoring system asks of the store: counts and ages, one set for each project."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, select

from tracker.domain import CalibrationInfo
from tracker.store import tables as t
from tracker.store.queries.gates import load_calibration
from tracker.store.store import Store

__all__ = ["ProjectState", "project_states"]


@dataclass(frozen=True, slots=True)
class ProjectState:
    """Counts of one project.

    Attributes:
        gates: Finished gates by outcome; "unknown" where an earlier version stored none.
        verdicts: Verdicts of finished gates by status.
        alerts: By state.
        jobs: Work that somebody asked for, by state.
        newest_results: When each machine last measured.
        calibration: Of all A/A gates.
        gate_seconds: Wall time of finished gates: both arms and what came between.
        run_seconds: What the benchmarks of runs outside gates say that they took, by source.
    """

    name: str
    num_results: int
    gates: dict[str, int]
    unfinished_gates: int
    verdicts: dict[str, int]
    alerts: dict[str, int]
    jobs: dict[str, int]
    newest_results: dict[str, datetime]
    calibration: CalibrationInfo
    gate_seconds: float
    run_seconds: dict[str, float]


def project_states(store: Store, names: Iterable[str] | None = None) -> list[ProjectState]:
    """Return the state of each project, or of those in `names`, by name.

    The results of a project are summed once over their run; nothing else grows with them.
    """
    with store.reading() as conn:
        rows = conn.execute(select(t.project.c.name, t.project.c.id).order_by(t.project.c.name))
        wanted = None if names is None else set(names)
        return [
            _state(conn, name, project_id)
            for name, project_id in rows.all()
            if wanted is None or name in wanted
        ]


def _state(conn: Connection, name: str, project_id: int) -> ProjectState:
    g, v, a, s, r = t.gate.c, t.verdict.c, t.alert.c, t.series.c, t.run.c
    gates: dict[str, int] = defaultdict(int)
    unfinished, spent = 0, timedelta()
    for outcome, started_at, finished_at in conn.execute(
        select(g.outcome, g.started_at, g.finished_at).where(g.project_id == project_id)
    ):
        if finished_at is None:
            unfinished += 1
        else:
            gates[outcome or "unknown"] += 1
            spent += finished_at - started_at
    verdicts = conn.execute(
        select(v.status, func.count())
        .join(t.gate, g.id == v.gate_id)
        .where(g.project_id == project_id, g.finished_at.is_not(None))
        .group_by(v.status)
    )
    alerts = conn.execute(
        select(a.state, func.count())
        .where(a.project_id == project_id, a.merged_into.is_(None))
        .group_by(a.state)
    )
    j = t.job.c
    jobs = conn.execute(
        select(j.state, func.count()).where(j.project_id == project_id).group_by(j.state)
    )
    newest = conn.execute(
        select(t.machine.c.name, func.max(s.last_measured_at), func.sum(s.num_results))
        .join(t.machine, t.machine.c.id == s.machine_id)
        .where(s.project_id == project_id)
        .group_by(t.machine.c.name)
    ).all()
    runs = conn.execute(
        select(r.source, func.sum(t.result.c.duration))
        .join(t.result, t.result.c.run_id == r.id)
        .where(r.project_id == project_id, r.gate_id.is_(None))
        .group_by(r.source)
    )
    return ProjectState(
        name=name,
        num_results=sum(int(row[2] or 0) for row in newest),
        gates=dict(gates),
        unfinished_gates=unfinished,
        verdicts={row[0]: row[1] for row in verdicts},
        alerts={row[0]: row[1] for row in alerts},
        jobs={row[0]: row[1] for row in jobs},
        newest_results={row[0]: row[1] for row in newest if row[1] is not None},
        calibration=load_calibration(conn, project_id),
        gate_seconds=spent.total_seconds(),
        run_seconds={row[0]: float(row[1] or 0.0) for row in runs},
    )
