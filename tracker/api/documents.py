"""What the HTTP service and the tools for agents answer with, where `--json` has no such document."""

from __future__ import annotations

from tracker.comparison import compare
from tracker.domain import SeriesFilter, SeriesHistory
from tracker.errors import UsageError
from tracker.evidence import revision_document
from tracker.findings import Change
from tracker.report.comparison import comparison_document
from tracker.report.findings import change_document
from tracker.store import Store, queries

__all__ = ["comparison_of", "history_of"]


def comparison_of(
    store: Store, project: str, base: str, head: str, wanted: SeriesFilter | None = None
) -> dict[str, object]:
    """Return two commits side by side, as `tracker compare --format json` prints them.

    Raises:
        UsageError: The project, a commit, the machine or the environment is not there.
    """
    first = queries.resolve_revision(store, project, base)
    second = queries.resolve_revision(store, project, head)
    rows = compare(store, project, first.commit, second.commit, wanted or SeriesFilter())
    return comparison_document(project, first, second, rows)


def history_of(store: Store, project: str, series_id: int, *, limit: int) -> dict[str, object]:
    """Return the newest points, level shifts and changes of the environment of one series.

    Raises:
        UsageError: The project has no such series.
    """
    if queries.get_series(store, series_id).project != project:
        raise UsageError(f"no series {series_id} in project {project!r}")
    return _history_document(queries.history(store, series_id, limit=limit))


def _history_document(history: SeriesHistory) -> dict[str, object]:
    return {
        "series_id": history.series.id,
        "metric": history.series.metric,
        "unit": history.series.unit,
        "better": history.series.better,
        "points": [
            {
                "revision": revision_document(point.revision),
                "status": point.status,
                "value": point.value,
                "ci_low": point.ci_low,
                "ci_high": point.ci_high,
                "num_attempts": point.num_attempts,
                "measured_at": point.measured_at,
            }
            for point in history.points
        ],
        "shifts": [
            {
                "revision": revision_document(shift.revision),
                "cause": shift.cause,
                **change_document(Change(history.series, shift)),
            }
            for shift in history.shifts
        ],
        "environment_changes": [
            {
                "revision": revision_document(change.revision),
                "changed": [
                    {"field": name, "before": before, "after": after}
                    for name, before, after in change.changed
                ],
            }
            for change in history.fingerprint_changes
        ],
    }
