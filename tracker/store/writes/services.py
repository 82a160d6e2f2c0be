"""What services keep of themselves: when their tasks ran, and which nodes get no jobs."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

from sqlalchemy import delete, update

from tracker.domain import QuarantinedNode, TaskInfo
from tracker.errors import UsageError
from tracker.store import tables as t
from tracker.store.transaction import Transaction
from tracker.store.writes import reference
from tracker.store.writes.jobs import find_machine
from tracker.triage import check_text

_s, _q = t.service_task.c, t.node_quarantine.c


def record_task(tx: Transaction, project: str, task: TaskInfo) -> None:
    """Replace what is known of a task's last run."""
    project_id = reference.ensure_project(tx, project)
    same = (_s.project_id == project_id) & (_s.service == task.service) & (_s.name == task.name)
    changed = tx.conn.execute(update(t.service_task).where(same).values(**asdict(task)))
    if changed.rowcount == 0:
        tx.insert(t.service_task, {"project_id": project_id, **asdict(task)})


def quarantine_node(tx: Transaction, project: str, entry: QuarantinedNode) -> None:
    """Give a member of a machine class no more jobs; replaces an entry of the same name.

    Raises:
        UsageError: No such machine class.
    """
    machine_id = find_machine(tx, project, entry.machine)
    tx.conn.execute(
        delete(t.node_quarantine).where(_q.machine_id == machine_id, _q.node == entry.node)
    )
    row = asdict(entry) | {"machine_id": machine_id, "released_at": None}
    del row["machine"]
    row["node"] = check_text("the node's name", entry.node, most=320)
    row["reason"] = check_text("the reason", entry.reason, most=1000)
    tx.insert(t.node_quarantine, row)


def release_node(tx: Transaction, project: str, machine: str, node: str, *, now: datetime) -> None:
    """End the quarantine of a node; the entry stays, with its end.

    Raises:
        UsageError: It is not quarantined.
    """
    machine_id = find_machine(tx, project, machine)
    active = (_q.machine_id == machine_id) & (_q.node == node) & _q.released_at.is_(None)
    if (
        tx.conn.execute(update(t.node_quarantine).where(active).values(released_at=now)).rowcount
        == 0
    ):
        raise UsageError(f"node {node!r} of {machine!r} is not quarantined")
