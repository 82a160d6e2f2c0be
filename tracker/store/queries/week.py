"""What a triage report over a span of time is made of."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import get_args

from sqlalchemy import func, select

from tracker.domain import AlertState, Week
from tracker.store import tables as t
from tracker.store.queries.alerts import load_alerts
from tracker.store.queries.gates import load_gates
from tracker.store.queries.projects import find_machine, find_project
from tracker.store.queries.series import select_series, series_of
from tracker.store.queries.shifts import shift_of, with_shifts
from tracker.store.store import Store

GATES = 1000  # the newest that are looked at


def week(
    store: Store, project: str, *, until: datetime, days: int = 7, machine: str | None = None
) -> Week:
    """Return what happened in a project in the `days` before `until`.

    A level shift belongs to the time of its commit, a gate to its start, a measurement to the moment at
    which it was stored. Alerts are those that are open or acked now, and those opened or changed then.

    Args:
        store: Where to look.
        project: Its name.
        until: End of the span.
        days: Its length.
        machine: Only this machine; alerts of any are given.

    Raises:
        UsageError: No such project or machine.
    """
    since = until - timedelta(days=days)
    run, r, s = t.run.c, t.revision.c, t.series.c
    with store.reading() as conn:
        project_id = find_project(conn, project)
        machine_id = None if machine is None else find_machine(conn, project_id, machine)
        shifts = with_shifts(select_series()).where(
            s.project_id == project_id, r.committed_at > since, r.committed_at <= until
        )
        runs = select(func.count(), func.count(run.revision_id.distinct())).where(
            run.project_id == project_id, run.recorded_at > since, run.recorded_at <= until
        )
        if machine_id is not None:
            shifts = shifts.where(s.machine_id == machine_id)
            runs = runs.where(run.machine_id == machine_id)
        moved = []
        for row in conn.execute(shifts):
            series = series_of(row)
            moved.append((series, shift_of(row, series.better)))
        num_runs, num_commits = conn.execute(runs).one()
        alerts = [
            alert
            for alert in load_alerts(conn, project_id, get_args(AlertState))
            if alert.created_at <= until
            and (alert.state in ("open", "acked") or alert.updated_at > since)
        ]
        gates = [
            gate
            for gate in load_gates(conn, project_id, GATES)
            if since < gate.started_at <= until and machine in (None, gate.machine)
        ]
    return Week(
        project=project,
        since=since,
        until=until,
        moved=tuple(moved),
        alerts=tuple(alerts),
        gates=tuple(gates),
        num_runs=num_runs,
        num_commits=num_commits,
    )
