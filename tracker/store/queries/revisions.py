"""Revisions: found by hash, and put in the order of history."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, select
from sqlalchemy.sql.selectable import NamedFromClause

from tracker.domain import RevisionInfo
from tracker.errors import UsageError
from tracker.store import tables as t
from tracker.store.base import chunks
from tracker.store.queries.projects import find_machine, find_project
from tracker.store.store import Store

_r = t.revision.c
COLUMNS = (_r.id, _r.commit_hash, _r.committed_at, _r.subject, _r.branch, _r.author)
_LINK = datetime.min.replace(tzinfo=UTC)


def resolve_revision(store: Store, project: str, ref: str) -> RevisionInfo:
    """Return the revision that `ref` names: a full hash, or the beginning of one.

    Raises:
        UsageError: No such revision, or several begin so.
    """
    with store.reading() as conn:
        return find_revision(conn, find_project(conn, project), ref)


def newest_revisions(
    store: Store, project: str, *, machine: str | None = None, limit: int = 200
) -> list[RevisionInfo]:
    """Return the revisions of a project that have results, the newest commit first.

    Args:
        store: Where to look.
        project: Its name.
        machine: Only revisions measured on this machine.
        limit: At most so many.

    Raises:
        UsageError: No such project or machine.
    """
    with store.reading() as conn:
        project_id = find_project(conn, project)
        statement = select(*COLUMNS).where(_r.project_id == project_id, _r.num_results > 0)
        if machine is not None:
            machine_id = find_machine(conn, project_id, machine)
            measured = select(t.run.c.id).where(
                t.run.c.revision_id == _r.id, t.run.c.machine_id == machine_id
            )
            statement = statement.where(measured.exists())
        rows = conn.execute(statement.order_by(_r.committed_at.desc(), _r.id.desc()).limit(limit))
        return [revision_of(row) for row in rows]


def find_revision(conn: Connection, project_id: int, ref: str) -> RevisionInfo:
    wanted = ref.strip().lower()
    if not wanted:
        raise UsageError("an empty commit hash names nothing")
    exact = select(*COLUMNS).where(_r.project_id == project_id, _r.commit_hash == wanted)
    row = conn.execute(exact).first()
    if row is not None:
        return revision_of(row)
    # A range rather than LIKE: the unique index answers it. "g" sorts after every hex digit.
    begins = select(*COLUMNS).where(
        _r.project_id == project_id, _r.commit_hash >= wanted, _r.commit_hash < wanted + "g"
    )
    matches = conn.execute(begins.order_by(_r.commit_hash).limit(4)).all()
    matches = [row for row in matches if row.commit_hash.startswith(wanted)]
    if len(matches) == 1:
        return revision_of(matches[0])
    if not matches:
        raise UsageError(
            f"commit {ref!r} is not in the store; give a hash that was ingested or recorded"
        )
    listed = ", ".join(row.commit_hash[:12] for row in matches[:3])
    more = ", ..." if len(matches) > 3 else ""
    raise UsageError(f"commit {ref!r} is ambiguous ({listed}{more}); give more digits")


def revision_of(row: Any) -> RevisionInfo:
    """Return the revision of a row that holds `COLUMNS`, whatever else it holds."""
    return RevisionInfo(
        row.id, row.commit_hash, row.committed_at, row.subject, row.branch, row.author
    )


def joined(table: NamedFromClause) -> list[ColumnElement[Any]]:
    """Return `COLUMNS` of an alias of the table, each labelled with the alias' name."""
    return [table.c[column.name].label(f"{table.name}__{column.name}") for column in COLUMNS]


def joined_revision(row: Any, alias: str) -> RevisionInfo | None:
    """Return the revision that a row holds under the labels of `joined`; None: it has none."""
    values = [getattr(row, f"{alias}__{column.name}") for column in COLUMNS]
    return None if values[0] is None else RevisionInfo(*values)


def load_revisions(conn: Connection, ids: Iterable[int]) -> dict[int, RevisionInfo]:
    return {
        row.id: revision_of(row)
        for chunk in chunks(sorted(set(ids)))
        for row in conn.execute(select(*COLUMNS).where(_r.id.in_(chunk)))
    }


def load_order(conn: Connection, project_id: int) -> list[RevisionInfo]:
    """Return every revision of a project, as `in_commit_order` puts them."""
    rows = conn.execute(select(*COLUMNS, _r.parents).where(_r.project_id == project_id)).all()
    parents = {row.commit_hash: row.parents for row in rows if row.parents}
    return in_commit_order([revision_of(row) for row in rows], parents)


def load_parents_between(
    conn: Connection,
    project_id: int,
    revisions: Sequence[RevisionInfo],
    parents: Mapping[str, Sequence[str]],
) -> dict[str, Sequence[str]]:
    """Return `parents`, and those of the stored commits that lie between `revisions`.

    A commit without a value still says which of its neighbours is the older one; commit times
    do not where a rebase wrote several commits within one second.
    """
    known = dict(parents)
    if not known:
        return known
    present = {revision.commit for revision in revisions}
    since = min(revision.committed_at for revision in revisions)
    absent = {parent for listed in known.values() for parent in listed} - present
    while absent:
        wanted, absent = sorted(absent), set()
        for chunk in chunks(wanted):
            statement = select(_r.commit_hash, _r.parents).where(
                _r.project_id == project_id,
                _r.commit_hash.in_(chunk),
                _r.committed_at >= since,
            )
            for commit, listed in conn.execute(statement):
                known[commit] = listed or ()
                absent.update(known[commit])
        absent -= known.keys() | present
    return known


def in_commit_order(
    revisions: Sequence[RevisionInfo], parents: Mapping[str, Sequence[str]]
) -> list[RevisionInfo]:
    """Return revisions oldest first: ancestors before descendants, else by commit time.

    Args:
        revisions: In any order.
        parents: Hashes of the parents, by hash; a revision may be missing. Other commits may be
            there: they link the revisions on either side of them.
    """
    present = {revision.commit: revision for revision in revisions}
    waiting = dict.fromkeys([*present, *parents], 0)
    children: dict[str, list[str]] = {}
    for commit in waiting:
        for parent in set(parents.get(commit) or ()):
            if parent in waiting:
                waiting[commit] += 1
                children.setdefault(parent, []).append(commit)

    def turn(commit: str) -> tuple[bool, datetime, str]:
        # A link is emitted as soon as it is reached, so that it delays no revision after it.
        revision = present.get(commit)
        return revision is not None, revision.committed_at if revision else _LINK, commit

    ready = [turn(commit) for commit, parents_left in waiting.items() if parents_left == 0]
    heapq.heapify(ready)
    ordered = []
    while ready:
        is_present, _, commit = heapq.heappop(ready)
        if is_present:
            ordered.append(present[commit])
        for child in children.get(commit, ()):
            waiting[child] -= 1
            if waiting[child] == 0:
                heapq.heappush(ready, turn(child))
    if len(ordered) < len(present):  # parents in a circle: git has none, but nothing is lost
        placed = {revision.commit for revision in ordered}
        rest = (revision for revision in present.values() if revision.commit not in placed)
        ordered += sorted(rest, key=lambda revision: (revision.committed_at, revision.commit))
    return ordered
