"""What a paired run of the commits before and after a shift says of it. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from tracker.domain import GateInfo, VerdictInfo
from tracker.findings import Change, Confirmation, Finding

__all__ = ["together", "with_confirmation"]


def with_confirmation(finding: Finding, gates: Sequence[GateInfo]) -> Finding:
    """Return the finding, and its changes, with what the newest valid gate says of its series.

    It is confirmed where one of its series moved the same way when both commits were run in turn,
    refuted where every series that was judged did not, and inconclusive otherwise.

    Args:
        finding: What shifted at a commit.
        gates: Of that commit against the one before the shift, on the same machine, newest first.
    """
    for gate in gates:
        if not gate.is_valid:
            continue
        verdicts = {verdict.metric: verdict for verdict in gate.verdicts}
        changes = tuple(
            replace(change, confirmation=_judged(change, verdicts.get(change.series.metric)))
            for change in finding.changes
        )
        said = [change.confirmation for change in changes if change.confirmation is not None]
        if said:
            return replace(finding, changes=changes, confirmation=together(said), gate_id=gate.id)
    return finding


def _judged(change: Change, verdict: VerdictInfo | None) -> Confirmation | None:
    if verdict is None or change.shift.drift_commits is not None:
        return None  # two neighbouring commits say nothing of a drift
    if change.direction == "unknown" or verdict.status == "inconclusive":
        return "inconclusive"
    expected = "regression" if change.direction == "worse" else "improvement"
    # A change that somebody expects passes its gate, and is a change nevertheless.
    if verdict.status == expected or (verdict.status == "pass" and _shows(verdict, change)):
        return "confirmed"
    # A pass excludes a slowdown; an improvement may have been too small to call.
    if verdict.status == "pass" and change.direction == "better":
        return "inconclusive"
    return "refuted"


def _shows(verdict: VerdictInfo, change: Change) -> bool:
    """Whether the pairs moved the same way by at least half as much, noise excluded."""
    before, after = change.shift.before, change.shift.after
    if verdict.effect is None or verdict.effect <= -1 or not before * after > 0 or before == after:
        return False
    excludes_none = verdict.kind == "exact" or (
        verdict.low is not None and verdict.high is not None and verdict.low * verdict.high > 0
    )
    return excludes_none and math.log1p(verdict.effect) / math.log(after / before) >= 0.5


def together(said: Sequence[Confirmation]) -> Confirmation:
    """What paired runs say of several series together."""
    if "confirmed" in said:
        return "confirmed"
    return "refuted" if set(said) == {"refuted"} else "inconclusive"
