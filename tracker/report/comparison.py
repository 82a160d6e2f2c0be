"""Two commits side by side as a table, each change beside the noise that the store knows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from tracker.domain import ComparisonRow, Noise, RevisionInfo
from tracker.metrics import is_worse
from tracker.report.columns import aligned
from tracker.report.numbers import count_of, percent, scale_for, scaled

__all__ = ["comparison_document", "comparison_text"]


def comparison_text(
    project: str, base: RevisionInfo, head: RevisionInfo, rows: Sequence[ComparisonRow]
) -> str:
    """Return the table as plain text, ending in a newline.

    A change beyond the noise of launches is better or worse by the metric's direction, or changed
    where nobody stated one. Every other change is within noise, or of unknown noise.
    """
    machines = sorted({row.series.machine for row in rows})
    environments = sorted({row.series.environment for row in rows})
    lines = [
        f"project: {project}",
        f"machine: {', '.join(machines)}",
        f"environment: {', '.join(environments)}",
        f"base: {_commit(base)}",
        f"head: {_commit(head)}",
        "",
    ]
    places = [("machine", len(machines) > 1), ("environment", len(environments) > 1)]
    shown = [name for name, several in places if several]
    header = ["metric", *shown, "unit", "base", "n", "head", "n", "change", "noise", ""]
    right = {i for i, name in enumerate(header) if name in ("base", "head", "n", "change", "noise")}
    lines += aligned([header, *(_cells(row, shown) for row in rows)], right=right)
    return "\n".join([*lines, "", *_summary(rows, head)]) + "\n"


def _summary(rows: Sequence[ComparisonRow], head: RevisionInfo) -> list[str]:
    compared = [row for row in rows if row.base is not None and row.head is not None]
    counts = {noise: sum(row.noise == noise for row in compared) for noise in get_args(Noise)}
    lines = [
        f"{counts['beyond']} of {count_of(len(compared), 'metric')} beyond noise, "
        f"{counts['within']} within, {counts['unknown']} unknown"
    ]
    if counts["unknown"]:
        lines.append(
            "noise is unknown where too few commits were measured more than once; measure again "
            f"with: tracker run {head.commit[:8]} --again --repeat 5"
        )
    return lines


def comparison_document(
    project: str, base: RevisionInfo, head: RevisionInfo, rows: Sequence[ComparisonRow]
) -> dict[str, object]:
    """Return the table for JSON: base units, ratios, null where not known."""
    return {
        "project": project,
        "base": {"commit": base.commit, "subject": base.subject},
        "head": {"commit": head.commit, "subject": head.subject},
        "metrics": [
            {
                "metric": row.series.metric,
                "machine": row.series.machine,
                "environment": row.series.environment,
                "unit": row.series.unit,
                "better": row.series.better,
                "kind": row.series.kind,
                "base": row.base,
                "head": row.head,
                "base_status": row.base_status,
                "head_status": row.head_status,
                "base_n": len(row.base_values),
                "head_n": len(row.head_values),
                "effect": row.effect,
                "noise": row.noise if row.base is not None and row.head is not None else None,
                "visible": row.visible,
            }
            for row in rows
        ],
    }


def _cells(row: ComparisonRow, places: Sequence[str]) -> list[str]:
    divisor, unit = scale_for(row.series.unit, row.base, row.head)
    return [
        row.series.metric,
        *(str(getattr(row.series, place)) for place in places),
        unit,
        _side(row.base, row.base_status, divisor),
        str(len(row.base_values)),
        _side(row.head, row.head_status, divisor),
        str(len(row.head_values)),
        _change(row, divisor),
        f"±{row.visible:.1%}" if row.visible is not None else "-",
        _word(row),
    ]


def _side(value: float | None, status: str | None, divisor: float) -> str:
    return scaled(value, divisor) if value is not None else (status or "-")


def _change(row: ComparisonRow, divisor: float) -> str:
    """The relative change, or the difference where the base is not above 0."""
    if row.effect is not None:
        return percent(row.effect)
    if row.base is None or row.head is None:
        return "-"
    difference = row.head - row.base
    return ("+" if difference > 0 else "") + scaled(difference, divisor)


def _word(row: ComparisonRow) -> str:
    if row.base is None or row.head is None or row.base == row.head:
        return ""
    if row.noise != "beyond":
        return "within noise" if row.noise == "within" else "noise unknown"
    worse = is_worse(row.series.better, row.base, row.head)
    return "changed (no direction)" if worse is None else "worse" if worse else "better"


def _commit(revision: RevisionInfo) -> str:
    return f"{revision.commit[:8]} {revision.subject or ''}".rstrip()
