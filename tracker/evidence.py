"""Everything that the store knows of a commit that moved something, as one JSON document.

`tracker alerts show --json`, the HTTP service and its tools for agents return the same document.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from urllib.parse import urlencode

from tracker.alerts.payload import alert_document
from tracker.domain import AlertInfo, GateInfo, RevisionInfo
from tracker.findings import Finding
from tracker.report.findings import finding_document
from tracker.report.numbers import finite
from tracker.store import Store, queries
from tracker.stored_findings import triaged_at
from tracker.triage import ALL_STATES

__all__ = ["FORMAT", "alert_evidence", "evidence", "gate_document", "revision_document"]

FORMAT = 1
_MAX_SUSPECTS = 50


def evidence(
    store: Store, project: str, commit: str, *, dashboard_url: str | None = None
) -> dict[str, object]:
    """Return what moved at a commit, with intervals, cause, suspects, gates, alerts and links.

    Keys: `format` (1), `project`, `revision` (`commit`, `committed_at`, `subject`, `branch`, `author`, `link`),
    `findings` (as triage has them, as in `tracker changepoints --json`; each of its `changes` also has
    `interval`: `low` and `high` of after/before - 1, `pairs` and `gate`, from the newest valid
    paired run that judged the series, or null where none did), `suspects` (commits after the last
    of the old level, up to this one, newest first, at most 50), `gates` (of this commit, newest
    first), `explanations` (what `tracker explain` stored of it: `base`, `machine`, `created_at` and
    its `document`), `alerts`, and `links`. A machine's `cause` is what changed there with the level: the
    code, or a part of the environment. What is not known is null.

    Args:
        store: Where to look.
        project: Its name.
        commit: Full hash, or the beginning of one.
        dashboard_url: Address of the dashboard, for links; None: no such link.

    Raises:
        UsageError: No such project or commit.
    """
    revision = queries.resolve_revision(store, project, commit)
    findings = [item.finding for item in triaged_at(store, project, revision.commit)]
    gates = queries.list_gates(store, project, head=revision.commit, limit=None)
    before = [finding.before for finding in findings if finding.before is not None]
    oldest = min(before, key=lambda known: known.committed_at, default=None)
    suspects = (
        queries.commits_between(store, project, oldest.commit, revision.commit, limit=_MAX_SUSPECTS)
        if oldest is not None
        else []
    )
    (info,) = (known for known in queries.list_projects(store) if known.name == project)
    alerts = queries.list_alerts(store, project, states=ALL_STATES, commit=revision.commit)
    return {
        "format": FORMAT,
        "project": project,
        "revision": revision_document(revision, info.commit_url),
        "findings": [_with_intervals(finding, gates) for finding in findings],
        "suspects": [revision_document(suspect, info.commit_url) for suspect in suspects],
        "gates": [gate_document(gate) for gate in gates],
        "explanations": [
            {
                "base": known.base,
                "machine": known.machine,
                "created_at": _moment(known.created_at),
                "document": known.document,
            }
            for known in queries.list_explanations(store, project, head=revision.commit)
        ],
        "alerts": [alert_document(alert) for alert in alerts],
        "links": _links(project, revision, oldest, info.commit_url, dashboard_url),
    }


def alert_evidence(
    store: Store, alert: AlertInfo, *, dashboard_url: str | None = None
) -> dict[str, object]:
    """Return an alert's fields, with the evidence of its commit under `evidence` (null: no commit)."""
    commit_evidence = None
    if alert.revision is not None:
        commit_evidence = evidence(
            store, alert.project, alert.revision.commit, dashboard_url=dashboard_url
        )
    return {**alert_document(alert), "evidence": commit_evidence}


def gate_document(gate: GateInfo) -> dict[str, object]:
    """Return a gate as JSON values: `verdicts` hold intervals as ratios, null where not known."""
    return {
        "id": gate.id,
        "project": gate.project,
        "machine": gate.machine,
        "base": gate.base.commit,
        "head": gate.head.commit,
        "started_at": _moment(gate.started_at),
        "finished_at": _moment(gate.finished_at),
        "outcome": gate.outcome,
        "exit_code": gate.exit_code,
        "pairs": gate.pairs,
        "verdicts": [
            {
                name: finite(value) if isinstance(value, float) else value
                for name, value in asdict(verdict).items()
                if name != "gate_id"
            }
            for verdict in gate.verdicts
        ],
    }


def revision_document(revision: RevisionInfo, commit_url: str | None = None) -> dict[str, object]:
    """Return a commit as JSON values, with a link where the project has a template for one."""
    return {
        "commit": revision.commit,
        "committed_at": _moment(revision.committed_at),
        "subject": revision.subject,
        "branch": revision.branch,
        "author": revision.author,
        "link": _commit_link(commit_url, revision.commit),
    }


def _with_intervals(finding: Finding, gates: Iterable[GateInfo]) -> dict[str, object]:
    document = finding_document(finding)
    intervals: dict[str, Mapping[str, object]] = {}
    for gate in gates:  # newest first
        if gate.is_valid and gate.machine == finding.machine:
            for verdict in gate.verdicts:
                if verdict.low is not None or verdict.high is not None:
                    interval = {
                        "low": finite(verdict.low),
                        "high": finite(verdict.high),
                        "pairs": verdict.pairs,
                        "gate": gate.id,
                    }
                    intervals.setdefault(verdict.metric, interval)
    changes = document["changes"]
    assert isinstance(changes, list)
    document["changes"] = [
        {**plain, "interval": intervals.get(change.series.metric)}
        for plain, change in zip(changes, finding.changes, strict=True)
    ]
    return document


def _links(
    project: str,
    revision: RevisionInfo,
    before: RevisionInfo | None,
    commit_url: str | None,
    dashboard_url: str | None,
) -> dict[str, str | None]:
    page = None
    if dashboard_url is not None:
        query = urlencode({"project": project, "commit": revision.commit})
        page = f"{dashboard_url.rstrip('/')}/finding?{query}"
    return {
        "commit": _commit_link(commit_url, revision.commit),
        "before": _commit_link(commit_url, before.commit) if before is not None else None,
        "dashboard": page,
    }


def _commit_link(template: str | None, commit: str) -> str | None:
    return template.replace("{commit}", commit) if template is not None else None


def _moment(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat() if moment is not None else None
