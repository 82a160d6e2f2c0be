"""Alerts, and what people decide about them: each decision is a line in a history that only grows."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, assert_never

from sqlalchemy import insert, select, update

from tracker.domain import AlertState, MachineInfo, metric_name
from tracker.errors import UsageError, did_you_mean
from tracker.store import tables as t
from tracker.store.neighbours import find_neighbour
from tracker.store.transaction import Transaction
from tracker.store.writes import reference
from tracker.triage import (
    PART,
    Act,
    Assign,
    Comment,
    Link,
    Merge,
    Move,
    MoveCommit,
    SetState,
    Split,
    check_issue,
    check_text,
    next_state,
)

_a = t.alert.c


def open_alert(
    tx: Transaction,
    project: str,
    *,
    key: str,
    title: str,
    detail: str,
    revision_commit: str | None = None,
    machine: str | None = None,
    num_series: int = 0,
    worst_effect: float | None = None,
) -> tuple[int, bool]:
    """Open an alert, unless one was ever opened under `key`; return (id, is new).

    Raises:
        UsageError: `revision_commit` is not recorded.
    """
    project_id = reference.ensure_project(tx, project)
    of_key = select(_a.id).where(_a.project_id == project_id, _a.key == key)
    known = tx.conn.execute(of_key).scalar()
    if known is not None:
        return int(known), False
    revision_id = None
    if revision_commit is not None:
        revision_id = reference.find_revision(tx, project_id, revision_commit)
        if revision_id is None:
            raise UsageError(
                f"commit {revision_commit!r} is not in project {project!r}; record it first"
            )
    now = datetime.now(UTC)
    row = {
        "project_id": project_id,
        "key": key,
        "state": "open",
        "title": title,
        "detail": detail,
        "revision_id": revision_id,
        "machine_id": None
        if machine is None
        else reference.ensure_machine(tx, project_id, MachineInfo(machine)),
        "num_series": num_series,
        "worst_effect": worst_effect,
        "created_at": now,
        "updated_at": now,
    }
    return tx.insert(t.alert, row), True


def triage(tx: Transaction, alert_ids: Sequence[int], act: Act, *, by: str, now: datetime) -> None:
    """Do one thing to each alert and keep who did it and when; all or none.

    Args:
        tx: Where to write.
        alert_ids: Which alerts.
        act: A value of `tracker.triage`.
        by: Who does it: a name or an e-mail address.
        now: When.

    Raises:
        UsageError: No such alert, or one that this cannot be done to.
    """
    by = check_text("the name of who does this", by, most=320)
    for alert_id in sorted(set(alert_ids)):
        _act(tx, _row(tx, alert_id), act, by, now)


def expire_alert(tx: Transaction, alert_id: int, *, now: datetime) -> bool:
    """Reopen an alert whose acceptance has ended; return whether it had.

    Raises:
        UsageError: No such alert.
    """
    alert = _row(tx, alert_id)
    if alert.state != "expected" or state_of(alert, now) != "open":
        return False
    add_event(tx, alert_id, "expired", f"open: accepted until {_day(alert.until)}", None, now)
    _change(tx, alert, now, state="open", until=None)
    return True


def note_alert(
    tx: Transaction,
    alert_id: int,
    action: str,
    text: str,
    *,
    now: datetime,
    move: Move | None = None,
) -> None:
    """Add what the tracker itself has to say to an alert's history, with a move if any.

    Raises:
        UsageError: No such alert, or the move is impossible from its state.
    """
    alert = _row(tx, alert_id)
    state = alert.state if move is None else next_state(state_of(alert, now), move)
    _change(tx, alert, now, state=state)
    add_event(tx, alert_id, action, text if move is None else f"{state}: {text}", None, now)


def say_fixed_by(tx: Transaction, alert_id: int, commit: str, *, by: str, now: datetime) -> None:
    """Keep which commit is said to fix an alert, by its full hash.

    Its state changes when a paired run agrees.

    Raises:
        UsageError: No such alert, or it is closed.
    """
    alert = _row(tx, alert_id)
    _require_own(alert)
    next_state(state_of(alert, now), "fix")
    _change(tx, alert, now, fixed_by=commit)
    add_event(tx, alert_id, "fixed by", f"said to be fixed by {commit[:12]}", by, now)


def add_event(
    tx: Transaction, alert_id: int, action: str, text: str, by: str | None, now: datetime
) -> None:
    row = {
        "id": f"{time.time_ns():016x}{secrets.token_hex(8)}",
        "alert_id": alert_id,
        "at": now,
        "actor": by,
        "action": action,
        "text": " ".join(text.split()),
    }
    tx.conn.execute(insert(t.alert_event).values(**row))


def state_of(alert: Any, now: datetime) -> AlertState:
    """The state of a row as of `now`: an acceptance that has ended is none."""
    if alert.state == "expected" and alert.until is not None and alert.until <= now:
        return "open"
    state: AlertState = alert.state
    return state


def _act(tx: Transaction, alert: Any, act: Act, by: str, now: datetime) -> None:
    if not isinstance(act, Split | Comment):
        _require_own(alert)
    if isinstance(act, SetState):
        said = _set_state(tx, alert, act, now)
        add_event(tx, alert.id, act.move, said, by, now)
    elif isinstance(act, Assign):
        to = None if act.to is None else check_text("the assignee", act.to, most=320)
        _change(tx, alert, now, assignee=to)
        add_event(tx, alert.id, "assign", f"assigned to {to or 'nobody'}", by, now)
    elif isinstance(act, Link):
        url = None if act.url is None else check_issue(act.url)
        _change(tx, alert, now, issue=url)
        add_event(tx, alert.id, "link", f"issue {url}" if url else "issue removed", by, now)
    elif isinstance(act, Comment):
        _change(tx, alert, now)
        add_event(tx, alert.id, "comment", check_text("the note", act.text), by, now)
    elif isinstance(act, Merge):
        _merge(tx, alert, act, by, now)
    elif isinstance(act, Split):
        _split(tx, alert, act, by, now)
    elif isinstance(act, MoveCommit):
        _move_commit(tx, alert, act, by, now)
    else:
        assert_never(act)


def _set_state(tx: Transaction, alert: Any, act: SetState, now: datetime) -> str:
    state = next_state(state_of(alert, now), act.move)
    if act.until is not None and act.move != "expect":
        raise UsageError("only an expected change has a last day")
    if act.until is not None and act.until <= now:
        raise UsageError(f"{_day(act.until)} is over; give a day to come")
    _change(tx, alert, now, state=state, until=act.until)
    until = f" until {_day(act.until)}" if act.until is not None else ""
    reason = f": {check_text('the note', act.note)}" if act.note else ""
    return f"{state}{until}{reason}"


def _merge(tx: Transaction, alert: Any, act: Merge, by: str, now: datetime) -> None:
    into = _row(tx, act.into)
    if into.id == alert.id:
        raise UsageError(f"alert {alert.id} cannot be merged into itself")
    if into.project_id != alert.project_id:
        raise UsageError(f"alert {into.id} belongs to another project")
    _require_own(into)
    # What was merged into this one before goes with it: a merge is one step deep.
    parts = (_a.project_id == alert.project_id) & (_a.merged_into == alert.key)
    tx.conn.execute(update(t.alert).where(parts).values(merged_into=into.key))
    _change(tx, alert, now, merged_into=into.key)
    _change(tx, into, now)
    add_event(tx, alert.id, "merge", f"merged into alert {into.id}", by, now)
    add_event(tx, into.id, "merge", f"alert {alert.id} became a part of this one", by, now)


def _split(tx: Transaction, alert: Any, act: Split, by: str, now: datetime) -> None:
    if not act.metrics:
        if alert.merged_into is None:
            raise UsageError(f"alert {alert.id} is not merged; name the series to split off")
        _change(tx, alert, now, merged_into=None)
        add_event(tx, alert.id, "split", "an alert of its own again", by, now)
        return
    _require_own(alert)
    covered = _metrics(tx, alert)
    wanted = dict.fromkeys(act.metrics)
    for metric in wanted:
        if metric not in covered:
            mend = did_you_mean(metric, sorted(covered)[:20])
            raise UsageError(f"alert {alert.id} covers no series {metric!r}; {mend}")
    rest = sorted(covered.keys() - wanted.keys())
    if not rest:
        raise UsageError(f"alert {alert.id} covers nothing else; leave at least one series in it")
    worst = max((covered[m] for m in wanted), key=lambda effect: abs(effect or 0), default=None)
    of_place = select(_a.id).where(
        _a.project_id == alert.project_id,
        _a.revision_id == alert.revision_id,
        _a.machine_id == alert.machine_id,
    )
    number = len(tx.conn.execute(of_place).all()) + 1
    count = f"{len(wanted)} series" if len(wanted) > 1 else next(iter(wanted))
    row = {
        **{
            name: getattr(alert, name)
            for name in ("project_id", "revision_id", "machine_id", "placed_id", "state", "until")
        },
        "key": f"{alert.key.partition(PART)[0]}{PART}{number}",
        "title": f"{count}, split from: {alert.title}",
        "detail": "\n".join(wanted),
        "num_series": len(wanted),
        "worst_effect": worst,
        "created_at": now,
        "updated_at": now,
        "metrics": sorted(wanted),
    }
    part_id = tx.insert(t.alert, row)
    left = None if alert.metrics is None else rest
    _change(tx, alert, now, metrics=left, num_series=len(rest))
    add_event(tx, alert.id, "split", f"{count} split off into alert {part_id}", by, now)
    add_event(tx, part_id, "split", f"split off from alert {alert.id}", by, now)
    # Whoever got a message about the whole alert needs none about the part.
    add_event(tx, part_id, "delivered", f"delivered to the readers of alert {alert.id}", None, now)


def _move_commit(tx: Transaction, alert: Any, act: MoveCommit, by: str, now: datetime) -> None:
    place = alert.placed_id or alert.revision_id
    if place is None:
        raise UsageError(f"alert {alert.id} is about no commit")
    neighbour = find_neighbour(tx.conn, place, later=act.direction == "later")
    if neighbour is None:
        raise UsageError(
            f"the store knows no commit {act.direction} than that of alert {alert.id}; "
            "`tracker run` and `tracker ingest` in the checkout record them"
        )
    r = t.revision.c
    rows = tx.conn.execute(select(r.id, r.commit_hash).where(r.id.in_([place, neighbour])))
    names = {row.id: row.commit_hash for row in rows}
    _change(tx, alert, now, placed_id=None if neighbour == alert.revision_id else neighbour)
    text = f"moved {act.direction}, from {names[place][:12]} to {names[neighbour][:12]}"
    add_event(tx, alert.id, "move", text, by, now)


def _metrics(tx: Transaction, alert: Any) -> dict[str, float | None]:
    """The series that an alert covers, with their effects."""
    b, p, s, c = t.benchmark.c, t.param_point.c, t.series.c, t.change_point.c
    rows = tx.conn.execute(
        select(b.name, p.params, c.effect)
        .select_from(t.change_point)
        .join(t.series, s.id == c.series_id)
        .join(t.benchmark, b.id == s.benchmark_id)
        .join(t.param_point, p.id == s.param_point_id)
        .where(c.revision_id == alert.revision_id, s.machine_id == alert.machine_id)
    ).all()
    effects = {metric_name(name, tuple(params)): effect for name, params, effect in rows}
    others = tx.conn.execute(
        select(_a.metrics).where(
            _a.project_id == alert.project_id,
            _a.revision_id == alert.revision_id,
            _a.machine_id == alert.machine_id,
            _a.id != alert.id,
        )
    ).scalars()
    if alert.metrics is not None:
        return {metric: effects.get(metric) for metric in alert.metrics}
    taken = {metric for listed in others for metric in listed or ()}
    return {metric: effect for metric, effect in effects.items() if metric not in taken}


def _require_own(alert: Any) -> None:
    if alert.merged_into is not None:
        raise UsageError(
            f"alert {alert.id} is merged into another; act on that one, or split this one first"
        )


def _row(tx: Transaction, alert_id: int) -> Any:
    """The row of an alert, which no other transaction changes before this one ends."""
    row = tx.conn.execute(select(t.alert).where(_a.id == alert_id)).first()
    if row is None:
        raise UsageError(f"no alert {alert_id} in the store; see: tracker alerts list")
    return row


def _change(tx: Transaction, alert: Any, now: datetime, **values: Any) -> None:
    statement = update(t.alert).where(_a.id == alert.id).values(updated_at=now, **values)
    tx.conn.execute(statement)


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
