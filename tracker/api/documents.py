"""JSON values that only the HTTP service answers with; all others are those of `--json`. Pure."""

from __future__ import annotations

from tracker.domain import SeriesHistory
from tracker.evidence import revision_document
from tracker.findings import Change
from tracker.report.findings import change_document

__all__ = ["history_document"]


def history_document(history: SeriesHistory) -> dict[str, object]:
    """Return points, level shifts and changes of the environment, oldest first."""
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
