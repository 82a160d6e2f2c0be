"""Stored level shifts, each with the last revision of the level before it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, select

from tracker.domain import Better, LevelShift
from tracker.metrics import is_worse
from tracker.store import tables as t
from tracker.store.queries.revisions import COLUMNS, joined, joined_revision, revision_of

_c = t.change_point.c
_previous = t.revision.alias("previous")
_COLUMNS = (
    *(_c.before, _c.after, _c.effect, _c.algorithm, _c.recovered, _c.cause, _c.drift_commits),
    *COLUMNS,
    *joined(_previous),
)


def select_shifts() -> Select[Any]:
    """Return the statement whose rows `shift_of` reads."""
    return with_shifts(select(t.series.c.id.label("series_id")))


def with_shifts(series: Select[Any]) -> Select[Any]:
    """Return a statement over series with the columns of their shifts at the end of each row."""
    return (
        series.add_columns(*_COLUMNS)
        .join(t.change_point, _c.series_id == t.series.c.id)
        .join(t.revision, t.revision.c.id == _c.revision_id)
        .outerjoin(_previous, _previous.c.id == _c.previous_id)
    )


def shift_of(row: Any, better: Better | None) -> LevelShift:
    """Return the shift of a row; `better` is the direction of its series, as known today."""
    return LevelShift(
        series_id=row.series_id,
        revision=revision_of(row),
        before=row.before,
        after=row.after,
        effect=row.effect,
        worse=is_worse(better, row.before, row.after),
        algorithm=row.algorithm,
        previous=joined_revision(row, "previous"),
        recovered=row.recovered,
        cause=row.cause,
        drift_commits=row.drift_commits,
    )
