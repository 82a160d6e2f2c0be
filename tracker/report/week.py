"""The triage report of a week, as Markdown. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from statistics import fmean

from tracker.domain import AlertInfo, GateInfo, Week
from tracker.findings import Change, Direction, Finding, group_by_commit
from tracker.report.escaping import markdown_text
from tracker.report.numbers import count_of, drift_text, percent, scale_for, scaled

__all__ = ["render_week"]

_FINDINGS = 25  # listed in full
_SERIES = 5  # of each
_LONGEST = 300  # characters of a name or a subject
_AGES = ((7, "younger than a week"), (28, "one to four weeks"), (math.inf, "older than four weeks"))


def render_week(week: Week) -> str:
    """Return the report as GitHub-flavoured Markdown, ending in a newline.

    What moved (worst first), how much on average and at the extremes, the findings that wait for somebody by
    their age, and what was called and turned out to be expected or noise.
    """
    changes = [Change(*pair) for pair in week.moved]
    by_code = group_by_commit(change for change in changes if change.shift.cause == "code")
    elsewhere = group_by_commit(change for change in changes if change.shift.cause != "code")
    opened = [alert for alert in week.alerts if alert.state in ("open", "acked")]
    closed = [alert for alert in week.alerts if alert.state not in ("open", "acked")]
    return "\n".join(
        [
            f"## Performance of {_text(week.project)}, "
            f"{week.since:%Y-%m-%d} to {week.until:%Y-%m-%d}",
            "",
            *_counts(week, by_code),
            *_moved("Worse", by_code, "worse"),
            *_moved("Better", by_code, "better"),
            *_moved("Moved, without a stated direction", by_code, "unknown"),
            *_elsewhere(elsewhere),
            *_waiting(opened, week.until),
            *_closed(closed),
        ]
    ) + "\n"  # fmt: skip


def _counts(week: Week, findings: Sequence[Finding]) -> list[str]:
    lines = ["| | series | commits | mean | range |", "|---|--:|--:|--:|---|"]
    directions: tuple[Direction, ...] = ("worse", "better")
    for direction in directions:
        of_each = [finding.of(direction) for finding in findings]
        # Sizes, whichever way is worse: +5 % latency and -5 % throughput do not cancel.
        sizes = [abs(change.shift.effect) for changes in of_each for change in changes]
        commits = len({f.revision.commit for f, c in zip(findings, of_each, strict=True) if c})
        mean = spread = ""
        if sizes:
            ends = (percent(size, signed=False) for size in (min(sizes), max(sizes)))
            mean, spread = percent(fmean(sizes), signed=False), " to ".join(ends)
        lines.append(f"| {direction} | {len(sizes)} | {commits} | {mean} | {spread} |")
    outcomes = Counter(gate.outcome or "unfinished" for gate in week.gates if not _is_same(gate))
    same = sum(map(_is_same, week.gates))
    gates = ", ".join(f"{count} {word}" for word, count in outcomes.most_common())
    return [
        *lines,
        "",
        f"Measured: {count_of(week.num_runs, 'run')} of {count_of(week.num_commits, 'commit')}. "
        f"Gates: {gates or 'none'}"
        + (f"; {same} A/A." if same else "."),
        "",
    ]  # fmt: skip


def _is_same(gate: GateInfo) -> bool:
    return gate.base.commit == gate.head.commit


def _moved(title: str, findings: Iterable[Finding], direction: Direction) -> list[str]:
    chosen = [finding for finding in findings if finding.of(direction)]
    if not chosen:
        return [] if direction == "unknown" else [f"### {title}", "", "Nothing.", ""]
    lines = [f"### {title}", ""]
    for finding in chosen[:_FINDINGS]:
        changes = finding.of(direction)
        lines.append(f"- {_commit(finding)} on {_text(finding.machine)}")
        lines += [f"  - {_change(change)}" for change in changes[:_SERIES]]
        if len(changes) > _SERIES:
            lines.append(f"  - {len(changes) - _SERIES} more series")
    if len(chosen) > _FINDINGS:
        lines.append(f"- {len(chosen) - _FINDINGS} more commits")
    return [*lines, ""]


def _commit(finding: Finding) -> str:
    subject = finding.revision.subject
    name = f"`{finding.revision.commit[:10]}`"
    return f"{name} {_text(subject)}" if subject else name


def _change(change: Change) -> str:
    shift = change.shift
    divisor, unit = scale_for(change.series.unit, shift.before, shift.after)
    gone = ", recovered since" if shift.recovered else ""
    return (
        f"{_text(change.series.metric)}: **{percent(shift.effect)}**, "
        f"{scaled(shift.before, divisor)} → {scaled(shift.after, divisor)} {unit}".rstrip()
        + drift_text(shift.drift_commits, shift.per_100_commits)
        + gone
    )


def _elsewhere(findings: Sequence[Finding]) -> list[str]:
    if not findings:
        return []
    lines = ["### Moved with the environment: no commit's fault", ""]
    lines += [
        f"- {len(finding.changes)} series on {_text(finding.machine)} at {_commit(finding)}: "
        f"{finding.cause}"
        for finding in findings[:_FINDINGS]
    ]
    return [*lines, ""]


def _waiting(alerts: Sequence[AlertInfo], now: datetime) -> list[str]:
    lines = [f"### Open findings: {len(alerts)}", ""]
    least = 0.0
    for most, name in _AGES:
        of_age = [alert for alert in alerts if least <= (now - alert.created_at).days < most]
        if of_age:
            lines.append(f"- {name}: {len(of_age)}")
            lines += [f"  - {_alert(alert)}" for alert in of_age[:_FINDINGS]]
        least = most
    return [*lines, *([""] if alerts else ["Nothing waits for anybody.", ""])]


def _closed(alerts: Sequence[AlertInfo]) -> list[str]:
    lines = ["### Called, and settled", ""]
    for state, name in (("expected", "turned out expected"), ("resolved", "resolved")):
        of_state = [alert for alert in alerts if alert.state == state]
        if of_state:
            lines.append(f"- {name}: {len(of_state)}")
            lines += [f"  - {_alert(alert)}" for alert in of_state[:_FINDINGS]]
    return [*lines, *([] if alerts else ["Nothing."])]


def _text(text: str) -> str:
    """Return a stranger's text as one short line."""
    return markdown_text(text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…")


def _alert(alert: AlertInfo) -> str:
    note = (alert.note or "").strip().splitlines()
    last = f" ({_text(note[-1])})" if note else ""
    return f"alert {alert.id}, {alert.state}: {_text(alert.title)}{last}"
