"""Every attempt behind the points of one series: the launches that a median hides."""

from __future__ import annotations

from sqlalchemy import select

from tracker.domain import AttemptInfo
from tracker.store import tables as t
from tracker.store.queries.history import load_fingerprints
from tracker.store.queries.series import load_series
from tracker.store.store import Store


def attempts(store: Store, series_id: int, *, commit: str | None = None) -> list[AttemptInfo]:
    """Return the attempts of a series in the order in which they were stored.

    Args:
        store: Where to look.
        series_id: As in `SeriesInfo.id`.
        commit: Only those at this commit (full hash, or its beginning), with what their runs ran in.

    Raises:
        UsageError: No such series.
    """
    r, run = t.result.c, t.run.c
    statement = (
        select(
            *(r.revision_id, r.status, r.value, r.started_at, run.id.label("run_id")),
            *(run.source, run.gate_id, run.arm, run.env_name, run.path, run.fingerprint_id),
        )
        .join(t.run, run.id == r.run_id)
        .where(r.series_id == series_id)
        .order_by(r.id)
    )
    with store.reading() as conn:
        load_series(conn, series_id)
        if commit is not None:
            statement = statement.join(t.revision, t.revision.c.id == r.revision_id).where(
                t.revision.c.commit_hash.startswith(commit, autoescape=True)
            )
        rows = conn.execute(statement).all()
        prints = load_fingerprints(conn, {row.fingerprint_id for row in rows} if commit else set())
    return [
        AttemptInfo(
            revision_id=row.revision_id,
            status=row.status,
            value=row.value,
            started_at=row.started_at,
            run_id=row.run_id,
            source=row.source,
            gate_id=row.gate_id,
            arm=row.arm,
            environment=row.env_name,
            path=row.path,
            fingerprint=tuple(sorted(prints.get(row.fingerprint_id, {}).items())),
        )
        for row in rows
    ]
