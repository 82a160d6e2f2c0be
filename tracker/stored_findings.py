"""Findings as the store holds them: with what paired runs say, and as triage has them."""

from __future__ import annotations

from collections.abc import Sequence

from tracker.confirmation import with_confirmation
from tracker.findings import Change, Finding, group_by_commit
from tracker.store import Store, queries
from tracker.triage import Triaged, triaged

__all__ = ["all_confirmed", "confirmed", "stored_findings", "triaged_at"]


def confirmed(store: Store, finding: Finding) -> Finding:
    """The finding with what the stored gates of its commit against the one before say of it."""
    if finding.before is None:
        return finding
    gates = queries.gates_between(
        store,
        finding.project,
        finding.before.commit,
        finding.revision.commit,
        machine=finding.machine,
    )
    return with_confirmation(finding, gates)


def all_confirmed(store: Store, findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """As `confirmed`; a finding costs a query only where its two commits have a gate."""
    gated = {
        project: queries.gated_pairs(store, project)
        for project in {finding.project for finding in findings}
    }
    return tuple(
        confirmed(store, finding)
        if finding.before is not None
        and (finding.before.commit, finding.revision.commit) in gated[finding.project]
        else finding
        for finding in findings
    )


def stored_findings(store: Store, project: str) -> tuple[Finding, ...]:
    """The level shifts that the store holds for `project`, as `analyze` would group them."""
    last = queries.last_searches(store, project)
    changes = (
        Change(series, shift)
        for series in queries.list_series(store, project)
        for shift in last[series.id].shifts
        if shift.cause == "code"
    )
    return all_confirmed(store, group_by_commit(changes))


def triaged_at(store: Store, project: str, commit: str) -> tuple[Triaged, ...]:
    """What triage has at a commit, worst first; what was moved to another commit is not here.

    Args:
        store: Where to look.
        project: Its name.
        commit: Full hash.

    Raises:
        UsageError: No such project or commit.
    """
    alerts = queries.alerts_at(store, project, commit)
    detected = {alert.detected.commit for alert in alerts if alert.detected is not None}
    findings = [
        confirmed(store, finding)
        for place in sorted({commit, *detected})
        for finding in group_by_commit(
            Change(series, shift) for series, shift in queries.shifts_at(store, project, place)
        )
    ]
    return tuple(
        item for item in triaged(findings, alerts) if item.finding.revision.commit == commit
    )
