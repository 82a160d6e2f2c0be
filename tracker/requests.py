"""What a person may ask the service to measure about a finding, and what a paired run of a fix says."""

from __future__ import annotations

import re
from datetime import datetime

from tracker.confirmation import with_confirmation
from tracker.domain import PRIORITY_ASKED, GateInfo, JobKind, RevisionInfo
from tracker.errors import UsageError
from tracker.findings import Finding
from tracker.report.numbers import some_of
from tracker.store import Store, queries
from tracker.triage import Triaged

__all__ = ["base_of", "fix_verdict", "request", "request_fix"]

_HASH = re.compile(r"[0-9a-f]{7,40}")


def base_of(store: Store, item: Triaged) -> RevisionInfo | None:
    """The commit to measure against: the last of the old level, or before where it was moved to."""
    finding, alert = item.finding, item.alert
    if alert is not None and alert.detected is not None and alert.revision != alert.detected:
        return queries.neighbour(store, finding.project, finding.revision.commit, later=False)
    return item.before


def request(
    store: Store,
    item: Triaged,
    kind: JobKind,
    *,
    by: str,
    now: datetime,
    priority: int = PRIORITY_ASKED,
) -> tuple[int, bool]:
    """Queue a paired run or a bisection of a finding; return (id of the job, is new).

    Raises:
        UsageError: The store knows no commit to measure against.
    """
    return _queue(store, item, kind, _arguments(store, item), by, now, priority)


def request_fix(
    store: Store, item: Triaged, commit: str, *, by: str, now: datetime
) -> tuple[int, bool]:
    """Keep which commit is said to fix an alert, and queue the paired run that checks it.

    Args:
        store: Open for writing.
        item: With its alert.
        commit: Of the fix: a hash of 7 to 40 digits. The service asks git for it.
        by: Who says so.
        now: When.

    Raises:
        UsageError: It is no hash, it is the commit that made it worse, or there is no alert.
    """
    fix = commit.strip().lower()
    if not _HASH.fullmatch(fix):
        raise UsageError(f"{commit[:80]!r} is no commit; give a hash of 7 to 40 digits")
    if item.finding.revision.commit.startswith(fix):
        raise UsageError(f"{fix[:12]} is the commit that made it worse, not its fix")
    if item.alert is None:
        raise UsageError("there is no alert to fix; open one first")
    arguments = {**_arguments(store, item), "fix": fix, "alert": item.alert.id}
    store.say_fixed_by(item.alert.id, fix, by=by, now=now)
    return _queue(store, item, "verify fix", arguments, by, now)


def _arguments(store: Store, item: Triaged) -> dict[str, object]:
    finding = item.finding
    base = base_of(store, item)
    if base is None:
        raise UsageError(
            f"the store knows no commit before {finding.revision.commit[:12]} to measure against"
        )
    moved = finding.of("worse") or finding.changes
    ours = [change for change in moved if change.series.machine == finding.machine] or moved
    return {
        "base": base.commit,
        "head": finding.revision.commit,
        "benchmarks": sorted({change.series.benchmark for change in ours}),
        "metric": ours[0].series.metric,
    }


def _queue(
    store: Store,
    item: Triaged,
    kind: JobKind,
    arguments: dict[str, object],
    by: str,
    now: datetime,
    priority: int = PRIORITY_ASKED,
) -> tuple[int, bool]:
    return store.request_job(
        item.finding.project,
        kind,
        machine=item.finding.machine,
        commit=item.finding.revision.commit,
        arguments=arguments,
        by=by,
        now=now,
        priority=priority,
    )


def fix_verdict(finding: Finding, gate: GateInfo) -> tuple[bool, str]:
    """Whether a gate of a fix against the commit before the regression shows it gone, and why.

    Every series that got worse must be judged, and none may still be worse. What was not judged
    or not decided is not fixed.
    """
    judged = with_confirmation(finding, [gate])
    worse = judged.of("worse")
    name = f"gate {gate.id[:8]} of {gate.head.commit[:12]} against {gate.base.commit[:12]}"
    still = [change.series.metric for change in worse if change.confirmation == "confirmed"]
    open_ = [c.series.metric for c in worse if c.confirmation not in ("confirmed", "refuted")]
    regressed = [v.metric for v in gate.verdicts if v.status == "regression"]
    if not gate.is_valid:
        return False, f"not shown to be fixed: {name} is {gate.outcome or 'unfinished'}"
    if still or regressed:
        return (
            False,
            f"not fixed: {name} still shows {some_of([*dict.fromkeys(still + regressed)])}",
        )
    if open_ or not worse:
        return (
            False,
            f"not shown to be fixed: {name} does not decide {some_of(open_) or 'anything'}",
        )
    return True, f"{name} shows none of {len(worse)} series worse"
