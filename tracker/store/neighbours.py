"""The commit before or after another, as far as the store knows the history."""

from __future__ import annotations

from sqlalchemy import Connection, select

from tracker.store import tables as t

_NEAR = 100  # commits among which a neighbour is looked for


def find_neighbour(conn: Connection, revision_id: int, *, later: bool) -> int | None:
    """Return the id of the stored commit before or after another; None where there is none.

    First parents decide where they are known, else the commit time.
    """
    r = t.revision.c
    here = conn.execute(select(t.revision).where(r.id == revision_id)).one()
    near = select(r.id, r.commit_hash, r.parents).where(
        r.project_id == here.project_id, r.id != here.id
    )
    if later:
        near = near.where(r.committed_at >= here.committed_at).order_by(r.committed_at, r.id)
        rows = conn.execute(near.limit(_NEAR)).all()
        children = [row for row in rows if row.parents and row.parents[0] == here.commit_hash]
        # A commit whose parents are known to be others does not follow this one.
        chosen = children or [row for row in rows if row.parents is None]
    elif here.parents:
        chosen = list(conn.execute(near.where(r.commit_hash == here.parents[0])))
    elif here.parents is None:
        near = near.where(r.committed_at <= here.committed_at)
        chosen = list(conn.execute(near.order_by(r.committed_at.desc(), r.id.desc()).limit(1)))
    else:
        chosen = []  # a root commit
    return chosen[0].id if chosen else None
