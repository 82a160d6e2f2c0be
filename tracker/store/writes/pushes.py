"""A push of results: written completely or not at all, and answered once for each key."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, select

from tracker.domain import NewRun, Recorded
from tracker.errors import RepeatedKeyError
from tracker.push import Push
from tracker.store import tables as t
from tracker.store.transaction import Transaction
from tracker.store.writes import problems, reference, results

KEPT = timedelta(days=30)  # answers; a client that comes back later finds its results there anyway


def answer_push(
    tx: Transaction,
    project: str,
    push: Push,
    *,
    key: str,
    digest: str,
    answer: Callable[[list[Recorded]], str],
) -> str:
    """Write a push and return its answer; a repeated key changes nothing.

    Args:
        tx: Where to write.
        project: Name; created if need be.
        push: What to write.
        key: Idempotency key; a second push with it gets the answer of the first.
        digest: Of the request that the key belongs to.
        answer: From what each file added to the text that is kept and returned.

    Raises:
        RepeatedKeyError: The key was used for another request.
    """
    now = datetime.now(UTC)
    c = t.api_push.c
    tx.conn.execute(delete(t.api_push).where(c.created_at < now - KEPT))
    project_id = reference.ensure_project(tx, project)
    of_key = (c.project_id == project_id, c.key == key)
    stored = tx.conn.execute(select(c.digest, c.answer).where(*of_key)).first()
    if stored is not None:
        if stored.digest != digest:
            raise RepeatedKeyError(f"idempotency key {key!r} was used for another request")
        return str(stored.answer)
    text = answer(_record(tx, project, push))
    row = {"project_id": project_id, "key": key, "digest": digest, "created_at": now}
    tx.insert(t.api_push, row | {"answer": text})
    return text


def _record(tx: Transaction, project: str, push: Push) -> list[Recorded]:
    """Write what `push` holds in the order of an ingest; return what each file added."""
    reference.record_project(tx, project, commit_url=push.commit_url)
    if push.metric_rules is not None:
        reference.record_metric_rules(tx, project, push.metric_rules)
    for machine in push.machines:
        reference.record_machine(tx, project, machine)
    reference.record_benchmarks(tx, project, push.benchmarks)
    runs = [NewRun(item.file, item.benchmarks, fingerprint=item.fingerprint) for item in push.files]
    recorded = results.record_runs(tx, project, runs)
    reference.record_revisions(tx, project, push.revisions)
    problems.record_problems(tx, project, push.problems)
    problems.forget_problems(tx, project, push.read_places, keep=push.problems)
    return recorded
