"""What a message says beside the alert itself: confidence, cause, history, links."""

from __future__ import annotations

from urllib.parse import urlencode

from tracker.confirmation import with_confirmation
from tracker.domain import AlertInfo
from tracker.findings import Change, group_by_commit
from tracker.report.sparkline import history_svg, sparkline
from tracker.store import Store, queries

__all__ = ["context_of"]

_NUM_POINTS = 40


def context_of(
    store: Store, alert: AlertInfo, *, dashboard_url: str | None = None
) -> tuple[list[str], str | None]:
    """Return lines of text and the history of the worst series as SVG.

    Args:
        store: Where to look.
        alert: One without a commit has no context.
        dashboard_url: Address of the dashboard; None: no link to it.
    """
    if alert.revision is None:
        return [], None
    commit = alert.revision.commit
    lines, chart = [], None
    shifted = queries.shifts_at(store, alert.project, commit)
    for finding in group_by_commit(Change(*pair) for pair in shifted):
        if alert.machine not in (None, finding.machine):
            continue
        gates = queries.list_gates(store, alert.project, head=commit, limit=None)
        judged = with_confirmation(finding, [g for g in gates if g.machine == finding.machine])
        said = judged.confirmation or "not judged by a paired run"
        lines.append(f"confidence: {said}; cause: {judged.cause}")
        worst = judged.changes[0].series
        points = [
            point
            for point in queries.history(store, worst.id, limit=_NUM_POINTS).points
            if point.value is not None
        ]
        values = [point.value for point in points if point.value is not None]
        place = next((i for i, p in enumerate(points) if p.revision.commit == commit), None)
        lines.append(f"{worst.metric}, last {len(values)} commits: {sparkline(values)}")
        chart = history_svg(values, place)
        break
    (info,) = (known for known in queries.list_projects(store) if known.name == alert.project)
    if info.commit_url is not None:
        lines.append(info.commit_url.replace("{commit}", commit))
    if dashboard_url is not None:
        query = urlencode({"project": alert.project, "commit": commit})
        lines.append(f"{dashboard_url.rstrip('/')}/finding?{query}")
    return lines, chart
