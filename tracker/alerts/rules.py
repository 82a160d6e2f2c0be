"""Decides which findings become alerts. Pure: findings and known keys in, new alerts out."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tracker.alerts.config import AlertsConfig
from tracker.domain import Expectation, GateInfo, VerdictInfo
from tracker.expected import expectation_of, is_excused
from tracker.findings import Change, Confirmation, Finding
from tracker.gate.course import Course
from tracker.report.findings import confirmation_text
from tracker.report.missing import grouped
from tracker.report.model import Missing
from tracker.report.numbers import count_of, drift_text, finite, interval, percent, value_with_unit
from tracker.triage import alert_key

__all__ = [
    "NewAlert",
    "alert_of",
    "broken_in",
    "gate_alert",
    "key_of",
    "new_alerts",
    "said_of_worse",
]

_MAX_LINES = 20  # of an alert's detail; the store and the dashboard hold the rest


@dataclass(frozen=True, slots=True)
class NewAlert:
    """An alert to open. `worst_effect` is after/before - 1, None where it is not finite."""

    key: str
    title: str
    detail: str
    commit: str
    machine: str
    num_series: int
    worst_effect: float | None


def key_of(finding: Finding) -> str:
    """The key of a finding's alert."""
    return alert_key(finding.project, finding.revision.commit, finding.machine)


def new_alerts(
    findings: Iterable[Finding],
    existing: Collection[str],
    config: AlertsConfig | None = None,
    *,
    newest: datetime | None = None,
    expectations: Iterable[Expectation] = (),
) -> list[NewAlert]:
    """One alert for each finding that is worse, still stands, matters and is new.

    A series that a paired run refuted did not get worse, whatever its history looks like.

    Args:
        findings: Level shifts grouped by commit; the order is kept.
        existing: Keys of all alerts opened before, in any state.
        config: Least effect and greatest age; else the defaults.
        newest: Time of the newest measured commit. Commits more than `max_age_days` older than
            it are imported history and do not alert. None: no limit.
        expectations: Intended changes; one that names the finding's commit is subtracted from
            the change.
    """
    config = config or AlertsConfig()
    oldest = newest - timedelta(days=config.max_age_days) if newest is not None else None
    known = set(existing)
    intended = list(expectations)
    alerts: list[NewAlert] = []
    for finding in findings:
        key = key_of(finding)
        ours = [e for e in intended if e.commit == finding.revision.commit]
        worse = [change for change in finding.of("worse") if _matters(change, config, ours)]
        # A drift began long ago but still affects the newest commit, so its age does not matter.
        drifts = any(change.shift.drift_commits is not None for change in worse)
        old = not drifts and oldest is not None and finding.revision.committed_at < oldest
        if not worse or old or key in known:
            continue
        known.add(key)
        alerts.append(_from_changes(key, finding, worse))
    return alerts


def alert_of(finding: Finding) -> NewAlert:
    """The alert of a finding that a person wants one for, whatever the rules say of it."""
    changes = finding.of("worse") or finding.changes
    return _from_changes(key_of(finding), finding, list(changes))


def said_of_worse(finding: Finding) -> Confirmation | None:
    """Return how paired runs judged the worse changes of a finding; None if undecided."""
    said = {change.confirmation for change in finding.of("worse")}
    if "confirmed" in said:
        return "confirmed"
    return "refuted" if said == {"refuted"} else None


def broken_in(gate: GateInfo) -> list[Missing]:
    """Return the voting metrics that HEAD of a gate fails and BASE gives."""
    return [item for item in Course.of(gate.course).missing if item.breaks]


def gate_alert(gate: GateInfo) -> NewAlert | None:
    """The alert for a gate that blocked on what HEAD breaks or on regressions; None for another.

    The verdicts of a gate with an invalid measurement do not count.
    """
    broken = broken_in(gate)
    worse = [verdict for verdict in gate.verdicts if verdict.status == "regression"]
    if gate.exit_code != 1 or not (broken or worse):
        return None
    worse.sort(key=lambda verdict: -abs(verdict.effect or 0.0))
    commit = gate.head.commit
    lines = [
        f"gate {gate.id}: {gate.base.commit[:12]} against {commit[:12]}, "
        f"{count_of(gate.pairs, 'pair')} of launches",
        *(group.sentence for group in grouped(broken)),
        *(_verdict_line(verdict) for verdict in worse),
    ]
    if broken:
        title = (
            f"{commit[:12]} breaks {count_of(len(broken), 'metric')} on {gate.machine}: {lines[1]}"
        )
    else:
        title = _title(
            commit, gate.machine, len(worse), "metric", worse[0].metric, _ratio(worse[0])
        )
    return NewAlert(
        key=alert_key(gate.project, commit, gate.machine),
        title=title,
        detail=_clip(lines),
        commit=commit,
        machine=gate.machine,
        num_series=len(broken) + len(worse),
        worst_effect=finite(worse[0].effect) if worse else None,
    )


def _matters(change: Change, config: AlertsConfig, expectations: Sequence[Expectation]) -> bool:
    if change.shift.recovered or change.confirmation == "refuted":
        return False
    expected = expectation_of(change.series.metric, expectations)
    if is_excused(expected, change.series.better) and expected is not None:
        beyond = (1 + change.shift.effect) / (1 + expected.change) - 1
        slower = beyond if change.series.better == "lower" else -beyond
        return slower > config.min_effect
    # An exact metric has no noise and its own step: whatever shifted is real.
    return change.series.kind == "exact" or abs(change.shift.effect) >= config.min_effect


def _from_changes(key: str, finding: Finding, worse: list[Change]) -> NewAlert:
    worst = worse[0]
    commit = finding.revision.commit
    subject = f" {finding.revision.subject}" if finding.revision.subject else ""
    said = said_of_worse(finding)
    lines = [f"{commit[:12]}{subject}", *(_change_line(change) for change in worse)]
    if said is not None:
        lines.insert(1, confirmation_text(said, finding))
    verb = "is worse" if worst.direction == "worse" else "moved"
    return NewAlert(
        key=key,
        title=_title(
            commit,
            finding.machine,
            len(worse),
            "series",
            worst.series.metric,
            worst.shift.effect,
            verb=verb,
        ),
        detail=_clip(lines),
        commit=commit,
        machine=finding.machine,
        num_series=len(worse),
        worst_effect=finite(worst.shift.effect),
    )


def _title(
    commit: str,
    machine: str,
    num: int,
    noun: str,
    metric: str,
    effect: float | None,
    *,
    verb: str = "is worse",
) -> str:
    moved = f"{count_of(num, noun)}, most {metric} {_effect(effect)}"
    return f"{commit[:12]} {verb} on {machine}: {moved}"


def _change_line(change: Change) -> str:
    shift = change.shift
    levels = _levels(shift.before, shift.after, change.series.unit)
    drift = drift_text(shift.drift_commits, shift.per_100_commits)
    return f"{change.series.metric}: {_effect(shift.effect)} ({levels}){drift}"


def _verdict_line(verdict: VerdictInfo) -> str:
    line = f"{verdict.metric}: {_effect(_ratio(verdict))}"
    if bounds := interval(verdict.low, verdict.high):
        line += f" {bounds}"
    if verdict.base is not None and verdict.head is not None:
        line += f" ({_levels(verdict.base, verdict.head, verdict.unit)})"
    return line


def _ratio(verdict: VerdictInfo) -> float | None:
    return math.inf if verdict.effect is None and verdict.base == 0 else verdict.effect


def _levels(before: float, after: float, unit: str) -> str:
    return f"{value_with_unit(before, unit)} -> {value_with_unit(after, unit)}"


def _effect(effect: float | None) -> str:
    if effect is None:
        return "by an unknown amount"
    return percent(effect) if math.isfinite(effect) else "from 0"


def _clip(lines: list[str]) -> str:
    if len(lines) > _MAX_LINES:
        lines = [*lines[:_MAX_LINES], f"and {len(lines) - _MAX_LINES} more"]
    return "\n".join(lines)
