"""Findings as text for a person and as a JSON document. Pure."""

from __future__ import annotations

import math

from rich.text import Text

from tracker.findings import Analysis, Change, Confirmation, Direction, Finding
from tracker.report.numbers import drift_text, finite, percent, value_with_unit

__all__ = [
    "FORMAT",
    "change_document",
    "confirmation_text",
    "finding_document",
    "findings_document",
    "findings_text",
]

FORMAT = 1

_STYLES: dict[Direction, str] = {"worse": "red", "unknown": "yellow", "better": "green"}


def findings_document(analysis: Analysis) -> dict[str, object]:
    """The analysis as JSON values; docs/alerts.md describes the fields."""
    return {
        "format": FORMAT,
        "num_series": analysis.num_series,
        "num_without_values": analysis.num_without_values,
        "num_points": analysis.num_points,
        "num_missing": analysis.num_missing,
        "num_segments": analysis.num_segments,
        "num_shifts": analysis.num_shifts,
        "findings": [finding_document(finding) for finding in analysis.findings],
        "moves": [finding_document(finding) for finding in analysis.moves],
    }


def findings_text(analysis: Analysis, *, max_changes: int = 10) -> Text:
    """The analysis for a person: what was looked at, then one block a commit, worst first.

    Args:
        analysis: What was found.
        max_changes: Most lines for one direction of one commit; the rest is counted.
    """
    text = Text(_looked_at(analysis))
    for finding in analysis.findings:
        _append(text, finding, max_changes)
    if analysis.moves:
        text.append("\n\nmoved where the environment changed; no regressions", style="bold")
    for finding in analysis.moves:
        _append(text, finding, max_changes)
    return text


def confirmation_text(said: Confirmation, finding: Finding) -> str:
    """What a paired run said, against which commit, and the gate that it was."""
    before = finding.before.commit[:12] if finding.before else "the commit before"
    return f"{said} by a paired run against {before} (gate {finding.gate_id})"


def _append(text: Text, finding: Finding, max_changes: int) -> None:
    text.append("\n\n")
    text.append(_heading(finding), style="bold")
    if finding.confirmation is not None:
        text.append(f"\n  {confirmation_text(finding.confirmation, finding)}")
    if finding.cause != "code":
        text.append(f"\n  cause: {finding.cause}")
    for direction in _STYLES:
        changes = finding.of(direction)
        if not changes:
            continue
        text.append("\n  ")
        text.append(direction, style=_STYLES[direction])
        text.append(f"  {len(changes)} series")
        for change in changes[:max_changes]:
            text.append(f"\n    {_line(change)}")
        if len(changes) > max_changes:
            text.append(f"\n    and {len(changes) - max_changes} more")


def _looked_at(analysis: Analysis) -> str:
    parts = [
        f"{analysis.num_series} series, {analysis.num_points} results, "
        f"{analysis.num_shifts} level shifts at {len(analysis.findings)} commits"
    ]
    if analysis.num_missing:
        parts.append(f"{analysis.num_missing} failed or skipped results left out")
    if analysis.num_without_values:
        parts.append(f"{analysis.num_without_values} series without a value")
    splits = analysis.num_segments - (analysis.num_series - analysis.num_without_values)
    if splits > 0:
        parts.append(f"{splits} new segments where the environment changed")
    return "\n".join(parts)


def _heading(finding: Finding) -> str:
    revision = finding.revision
    heading = f"{revision.commit[:12]}  {revision.committed_at:%Y-%m-%d}"
    heading += f"  {finding.project} on {finding.machine}"
    return f"{heading}  {revision.subject}" if revision.subject else heading


def _line(change: Change) -> str:
    shift, unit = change.shift, change.series.unit
    effect = percent(shift.effect) if math.isfinite(shift.effect) else "from 0"
    levels = f"{value_with_unit(shift.before, unit)} -> {value_with_unit(shift.after, unit)}"
    line = f"{effect:>9}  {change.series.metric}  {levels}"
    line += drift_text(shift.drift_commits, shift.per_100_commits)
    return f"{line}  (recovered)" if change.shift.recovered else line


def finding_document(finding: Finding) -> dict[str, object]:
    """One finding as JSON values; docs/alerts.md describes the fields."""
    revision = finding.revision
    return {
        "project": finding.project,
        "machine": finding.machine,
        "commit": revision.commit,
        "committed_at": revision.committed_at.isoformat(),
        "subject": revision.subject,
        "direction": finding.direction,
        "cause": finding.cause,
        "before": finding.before.commit if finding.before else None,
        "confirmation": finding.confirmation,
        "gate": finding.gate_id,
        "num_series": len(finding.changes),
        "changes": [change_document(change) for change in finding.changes],
    }


def change_document(change: Change) -> dict[str, object]:
    """One level shift or drift of one series as JSON values."""
    series, shift = change.series, change.shift
    return {
        "series_id": series.id,
        "benchmark": series.benchmark,
        "version": series.version,
        "params": list(series.params),
        "environment": series.environment,
        "unit": series.unit,
        "better": series.better,
        "kind": series.kind,
        "direction": change.direction,
        "before": shift.before,
        "after": shift.after,
        "effect": finite(shift.effect),
        "recovered": shift.recovered,
        "change": "level shift" if shift.drift_commits is None else "drift",
        "drift_commits": shift.drift_commits,
        "per_100_commits": shift.per_100_commits,
        "confirmation": change.confirmation,
        "algorithm": shift.algorithm,
    }
