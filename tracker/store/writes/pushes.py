"""A push of results: written completely or not at all, and answered once for each key."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, select, update

from tracker.domain import NewRun, Recorded
from tracker.errors import RepeatedKeyError
from tracker.push import Push
from tracker.store import tables as t
from tracker.store.transaction import Transaction
from tracker.store.writes import problems, reference, results

KEPT = timedelta(days=30)  # answers; a client that comes back later finds its results there anyway


def answer_once(
    tx: Transaction, project: str, key: str, digest: str, act: Callable[[], str]
) -> str:
    """Return what `act` answers, or what it answered when this key was first used.

    The row of the key comes first: on PostgreSQL a second writer waits there for the first.

    Raises:
        RepeatedKeyError: The key was used for another request.
    """
    now = datetime.now(UTC)
    c = t.api_push.c
    tx.conn.execute(delete(t.api_push).where(c.created_at < now - KEPT))
    project_id = reference.ensure_project(tx, project)
    row = {"project_id": project_id, "key": key, "digest": digest, "created_at": now}
    tx.insert_missing(t.api_push, [row])
    of_key = (c.project_id == project_id, c.key == key)
    stored = tx.conn.execute(select(c.digest, c.answer).where(*of_key)).one()
    if stored.digest != digest:
        raise RepeatedKeyError(f"idempotency key {key!r} was used for another request")
    if stored.answer is not None:
        return str(stored.answer)
    answer = act()
    tx.conn.execute(update(t.api_push).where(*of_key).values(answer=answer))
    return answer


def record_push(tx: Transaction, project: str, push: Push) -> list[Recorded]:
    """Write what `push` holds in the order of an ingest; return what each file added."""
    reference.record_project(tx, project, push.commit_url)
    if push.metric_rules is not None:
        reference.record_metric_rules(tx, project, push.metric_rules)
    for machine in push.machines:
        reference.record_machine(tx, project, machine)
    reference.record_benchmarks(tx, project, push.benchmarks)
    runs = [NewRun(one.file, one.benchmarks, fingerprint=one.fingerprint) for one in push.files]
    recorded = results.record_runs(tx, project, runs)
    reference.record_revisions(tx, project, push.revisions)
    problems.record_problems(tx, project, push.problems)
    problems.forget_problems(tx, project, push.read_places, push.problems)
    return recorded
